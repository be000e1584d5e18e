"""What a user of a real LLM server sees when a 5G cell and a WAN stand between them."""

__version__ = "0.1.0"
