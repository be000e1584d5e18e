// SPDX-License-Identifier: GPL-2.0-only
//
// What Python needs to fill a configuration, compiled ahead.
#include "config.h"

namespace cosim::nr
{

CarrierConfig::CarrierConfig() = default;
CarrierConfig::~CarrierConfig() = default;
CarrierConfig::CarrierConfig(const CarrierConfig& other) = default;
CarrierConfig& CarrierConfig::operator=(const CarrierConfig& other) = default;

BearerConfig::BearerConfig() = default;
BearerConfig::~BearerConfig() = default;
BearerConfig::BearerConfig(const BearerConfig& other) = default;
BearerConfig& BearerConfig::operator=(const BearerConfig& other) = default;

RadioConfig::RadioConfig() = default;
RadioConfig::~RadioConfig() = default;
RadioConfig::RadioConfig(const RadioConfig& other) = default;
RadioConfig& RadioConfig::operator=(const RadioConfig& other) = default;

UeConfig::UeConfig() = default;
UeConfig::~UeConfig() = default;
UeConfig::UeConfig(const UeConfig& other) = default;
UeConfig& UeConfig::operator=(const UeConfig& other) = default;

CellConfig::CellConfig() = default;
CellConfig::~CellConfig() = default;
CellConfig::CellConfig(const CellConfig& other) = default;
CellConfig& CellConfig::operator=(const CellConfig& other) = default;

} // namespace cosim::nr
