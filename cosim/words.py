"""Words of synthetic prompts: each is one token of a synthetic model's tokenizer when joined by single spaces."""

from __future__ import annotations

_TEXT = """
able about above across act add after again age air all also always and animal answer any appear area ask baby
back ball base be beauty bed been before began begin behind best better between big bird black blue boat body
book both box boy bring build busy call came can car care carry cause cell center certain change check city
class clear close cold color come common complete contain correct could count country course cover cross cry
cut dark day decide deep develop did differ direct distant do dog done door down draw dress drive dry during
each early earth ease east eat end enough even ever every example eye face fact fall family far farm fast father
feel feet few field figure fill final find fine fire first fish five fly follow food foot force form four free
friend from front full game gave girl give gold good got govern great green ground group grow had half hand hard
head hear heat help here high hold horse hot hour house hundred idea inch island keep kind king knew know land
language large last late laugh lay lead learn leave left less letter life light line list listen little live
long look love low machine made main make man many map mark measure men might mile mind minute money moon more
morning most mother mountain move much multiply music name near need never new next night north note noun now
number object ocean oil old once only open order our out over own page paper part pass pattern people picture
piece place plain plan plane plant play point port pose power press problem produce product pull put question
quick quiet rain reach read ready real record red remember rest right river road rock room round rule run said
"""

WORDS: tuple[str, ...] = tuple(_TEXT.split())
