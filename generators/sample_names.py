"""Names for made-up people, and the customers that the notebook holds.

They are rare on purpose: a scan of the site for every one of them finds no ordinary word.
"""

from etl.schema import INPUT_COLUMNS

FIRST_NAMES: tuple[str, ...] = (
    "Aelwyna", "Briallen", "Cadwalla", "Demelzah", "Eluneda", "Fflurina", "Gwenllyan", "Hafrena", "Iestynn", "Jorvinda",
    "Kerensah", "Llewella", "Merrynda", "Nesthoria", "Olwenna", "Perranek", "Rhosynna", "Senarah", "Tegwenna", "Ursalind",
    "Ysoldena", "Zephanna", "Arthelais", "Bronwenna", "Caerwynn", "Derwenna", "Eifionn", "Gwythian", "Heddwynn", "Jenifryd",
    "Kitronella", "Lowenek", "Mabynna", "Nolwenna", "Petrokia", "Rosenwyn", "Sulwenna", "Talwynne", "Wenneth", "Yestinda",
    "Zennora", "Ambrosyn", "Bethsaba", "Corantyn", "Dilwynna", "Eseldra", "Gerensa", "Hyledda", "Jowannet", "Kevernah",
    "Zoëlle", "Siânedd", "Łucjanna", "Sørina", "Éloïsa", "Maëlynn", "Ångelika", "Çiğdema", "Ngọcanh", "Thuỳlinh",
    "Ελενίτσα", "Θεοδώρητος", "فاطیمهه", "李小龙龙", "𠮷田太郎", "Renée-Wenna", "D’Artania", "O'Rianna", "Anne-Morwenna",
    "Šárkyna", "Morvorenna", "Kenverra", "Tamsynelle", "Eseldine", "Gwenifrae", "Isolwenn", "Ruanetta", "Steravyn",
    "Ulvendra", "Vestarion",
)  # fmt: skip
LAST_NAMES: tuple[str, ...] = (
    "Trevanyon", "Penhaligoe", "Carnsewick", "Polwhelan", "Nancekivell", "Rosewarneck", "Boscawenna", "Tregenzah",
    "Chenhallow", "Vellanoweth", "Kestlemore", "Lanyonby", "Menadueck", "Pendarvish", "Quintrellock", "Roskillyard",
    "Spargowell", "Tresidderly", "Uglowen", "Wearnecombe", "Angwinshaw", "Bolithover", "Curnowick", "Dunstaneford",
    "Edyveane", "Fradghley", "Goninanby", "Hendravale", "Ivethorne", "Jelbertson", "Kneeboneham", "Lugganwell", "Moyleston",
    "Nanscawen", "Opieworth", "Prideauxby", "Retallackson", "Skewesham", "Tangyeford", "Varcoeden", "Whettersby",
    "Yelverstone", "Zelleyman", "Abernathwick", "Balquhidden", "Cruickshawe", "Drummelzie", "Eskdaleton", "Farquhardson",
    "Glendinnock", "Hallidayne", "Innerleithe", "Jardinsby", "Kilbrannock", "Lochmabrie", "Muirkirkson", "Netherwoody",
    "Oliphantine", "Pitcairnly", "Rutherglenn", "Strathearnock", "Tullibardie", "Urquhartson", "Wedderburnie", "Yestermoor",
    "Cadwaladrin", "Gwynfordby", "Llanfairley", "Penrhosyn", "Rhydderchson", "O’Shaughnessyn", "O'Dwyerson", "MacGiollain",
    "Ní-Bhraonáin", "Ó-Súilleán", "Fernández-Quillo", "Müllerström", "Søndergårdsen", "Kołodziejczyn", "Çelikoğluk",
    "Nguyễnphương", "Παπαδοπούλης", "Σταυρίδης", "رحمانییان", "欧阳震华华", "𠮷野川子", "von-Tarnowick", "de-la-Merewood",
    "Bjørnsgaardt", "Þorvaldsdóttin", "Żółkiewicz", "Ångströmsen", "Lefèbvrette", "Dvořákova-Penn", "Trewhiddleby",
    "Penrosyth", "Carveddon", "Bosanketh", "Chegwyddon", "Hocquardine", "Brehautane", "Quillibrann", "Kermodeston",
    "Costaindale", "Mylchreeston", "Abercorvie", "Dalwhirrie", "Auchterneuk", "Inchmarlowe", "Cwmbrannock", "Llangorwyth",
    "Hrafnsdóttirin", "Sigurjónssonar", "Wiśniowieczka", "Gökçeoğlan", "Trầnquốcanh", "Ξενοφωνίδης", "Ковальчуковна",
    "山本川之助", "김이박선우",
)  # fmt: skip
UNKNOWN_COMPANIES: tuple[str, ...] = (
    "Wendlebury Tinworks", "Oxmarrow Bakery", 'The "Blue Lantern" Rooms', "Smethcote, Daughters & Co", "Gryphonstow Clocks",
    "Haldergate Rigging", "Pettistree Ceramics", "Zwillingshof Import", "Tarnbeck Weavers", "Ruckinge Motor Spares",
)  # fmt: skip


def _customer(*values: str) -> dict[str, str]:
    return dict(zip(INPUT_COLUMNS, values, strict=True))


NOTEBOOK_CUSTOMERS: tuple[dict[str, str], ...] = (
    _customer("1001", "Morwynna", "Trelissick", "morwynna.trelissick@postbox.example", "020 7946 0101", "SW1A 1AA", "", "active"),
    _customer("1002", "Gavrilo", "Pennystreet", "gavrilo.pennystreet@inkmail.example", "0161 496 0102", "M1 1AF", "", "active"),
    _customer("1003", "Isaphine", "Okonjolade", "isaphine.okonjolade@letterfly.example", "0121 496 0103", "B1 1BB", "",
              "suspended"),
    _customer("1004", "Thaddeon", "Warboyse", "thaddeon.warboyse@techcorp.example", "0113 496 0104", "LS1 2AJ", "TechCorp Ltd",
              "active"),
    _customer("1005", "Philippota", "Dunkerleigh", "philippota.dunkerleigh@retailplus.example", "0191 498 0105", "NE1 3NG",
              "Retail Plus", "active"),
    _customer("1006", "Emrysten", "Llandavine", "emrysten.llandavine@freelancedesign.example", "029 2018 0106", "CF10 2HH",
              "Freelance Design", "active"),
)  # fmt: skip
"""The six customers that the notebook holds as literals."""

NOTEBOOK_UPSERT: tuple[dict[str, str], ...] = (
    NOTEBOOK_CUSTOMERS[0] | {"phone": "020 7946 0201"},
    NOTEBOOK_CUSTOMERS[1] | {"email": "gavrilo@pennystreet.example"},
    _customer("1007", "Araminthe", "Vasconcel", "araminthe.vasconcel@homepost.example", "01632 960107", "BS1 4DJ", "", "active"),
    _customer("1008", "Leofrick", "Achterberg", "leofrick.achterberg@zennackdata.example", "0113 496 0108", "LS2 7EY",
              "Wendlebury Tinworks", "active"),
)  # fmt: skip
"""The four customers of the notebook's second load: two known ones, changed, and two new ones."""
