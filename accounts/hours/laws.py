"""When the law (or, where it is silent, good custom) lets somebody be called, as data.

A starting point and no legal advice: whoever calls is responsible, and laws change. Each profile
names its source. The strictest reading is taken where a law distinguishes kinds of calls; holidays
are not known here. Minutes are since midnight of the called person's wall clock.

``profile_of`` finds the profile of a number: its country, in the United States the state of its
area code. People carry their numbers across borders of states: a time zone column tells better.
"""

from dataclasses import dataclass
from functools import cache

from accounts.hours.windows import Layer, Window

_WEEKDAYS = frozenset(range(5))
_MON_SAT = frozenset(range(6))
_SAT, _SUN = frozenset({5}), frozenset({6})
_WEEKEND = _SAT | _SUN


@dataclass(frozen=True, slots=True)
class Law:
    """Windows in which calls are allowed, and where that is written."""

    name: str
    windows: Layer
    source: str


def _h(start: float, end: float, days: frozenset[int] = frozenset(range(7))) -> Window:
    return Window(int(start * 60), int(end * 60), days)


LAWS: dict[str, Law] = {
    "US": Law("United States", (_h(8, 21),), "47 CFR 64.1200(c)(1); 16 CFR 310.4(c)"),
    "US-AL": Law("Alabama", (_h(8, 20, _MON_SAT),), "Ala. Code 8-19A-14"),
    "US-CT": Law("Connecticut", (_h(9, 20),), "Conn. Gen. Stat. 42-288a"),
    "US-FL": Law("Florida", (_h(8, 20),), "Fla. Stat. 501.616(6)"),
    "US-KY": Law("Kentucky", (_h(10, 21),), "KRS 367.46955"),
    "US-LA": Law("Louisiana", (_h(8, 20, _MON_SAT),), "La. R.S. 45:844.14; LPSC order R-29617"),
    "US-MA": Law("Massachusetts", (_h(8, 20),), "M.G.L. c. 159C s. 3"),
    "US-MD": Law("Maryland", (_h(8, 20),), "Md. Com. Law 14-4502 (2024)"),
    "US-ME": Law("Maine", (_h(9, 17, _WEEKDAYS),), "10 M.R.S. 1498 (automated calls)"),
    "US-MN": Law("Minnesota", (_h(9, 21),), "Minn. Stat. 325E.30"),
    "US-MS": Law("Mississippi", (_h(8, 20, _MON_SAT),), "Miss. Code 77-3-711"),
    "US-NM": Law("New Mexico", (_h(9, 21),), "N.M. Stat. 57-12-22"),
    "US-NV": Law("Nevada", (_h(9, 20),), "NRS 597.814; NRS 228.500 ff."),
    "US-OK": Law("Oklahoma", (_h(8, 20),), "15 O.S. 775C.4"),
    "US-OR": Law("Oregon", (_h(8, 20),), "ORS 646A.370 ff. (HB 3865, 2025)"),
    "US-RI": Law(
        "Rhode Island",
        (_h(9, 18, _WEEKDAYS), _h(10, 17, _SAT)),
        "R.I. Gen. Laws 5-61-3.6",
    ),
    "US-SD": Law("South Dakota", (_h(9, 21, _MON_SAT),), "SDCL 37-30A-3"),
    "US-TX": Law("Texas", (_h(9, 21, _MON_SAT), _h(12, 21, _SUN)), "Tex. Bus. & Com. Code 301.051"),
    "US-UT": Law("Utah", (_h(8, 21, _MON_SAT),), "Utah Code 13-25a-103"),
    "US-WA": Law("Washington", (_h(8, 20),), "RCW 80.36.390 (2022)"),
    "US-WY": Law("Wyoming", (_h(8, 20),), "Wyo. Stat. 40-12-303"),
    "GB": Law(
        "United Kingdom",
        (_h(8, 21, _WEEKDAYS), _h(9, 20, _WEEKEND)),
        "no statute sets hours: industry custom (DMA Code), a cautious reading",
    ),
    "ES": Law(
        "Spain", (_h(9, 21, _WEEKDAYS),), "RDL 1/2007 art. 96.2 (no weekends, not 21:00-09:00)"
    ),
    "FR": Law(
        "France",
        (_h(10, 13, _WEEKDAYS), _h(14, 20, _WEEKDAYS)),
        "Code de la consommation D. 223-9 (décret 2022-1313)",
    ),
    "default": Law("Elsewhere", (_h(9, 20, _MON_SAT),), "no rule known here: a cautious default"),
}

# Area codes of the states whose hours are narrower than the federal ones.
_AREA_CODES = {
    "US-AL": "205 251 256 334 659 938",
    "US-CT": "203 475 860 959",
    "US-FL": "239 305 321 324 352 386 407 448 561 645 656 689 727 728 754 772 786 813 850 863 904 "
    "941 954",
    "US-KY": "270 364 502 606 859",
    "US-LA": "225 318 337 504 985",
    "US-MA": "339 351 413 508 617 774 781 857 978",
    "US-MD": "227 240 301 410 443 667",
    "US-ME": "207",
    "US-MN": "218 320 507 612 651 763 952",
    "US-MS": "228 601 662 769",
    "US-NM": "505 575",
    "US-NV": "702 725 775",
    "US-OK": "405 539 572 580 918",
    "US-OR": "458 503 541 971",
    "US-RI": "401",
    "US-SD": "605",
    "US-TX": "210 214 254 281 325 346 361 409 430 432 469 512 682 713 726 737 806 817 830 832 903 "
    "915 936 940 945 956 972 979",
    "US-UT": "385 435 801",
    "US-WA": "206 253 360 425 509 564",
    "US-WY": "307",
}
_STATE = {code: state for state, codes in _AREA_CODES.items() for code in codes.split()}
# Area codes that ring anywhere in the country.
_TOLL_FREE = frozenset({"800", "833", "844", "855", "866", "877", "888"})
STRICTEST = "strictest"


def profile_of(phone_number: str, region: str | None) -> str:
    """Return the profile for a number in E.164 of the numbering plan's ``region`` (``"GB"``; None
    where the plan does not tell): a key of ``LAWS``, or ``STRICTEST`` for a place unknown."""
    if region == "US":
        area = phone_number[2:5]
        return STRICTEST if area in _TOLL_FREE else _STATE.get(area, "US")
    if region is None or region == "001":
        return STRICTEST
    return region if region in LAWS else "default"


@cache
def layers_of(profile: str) -> tuple[Layer, ...]:
    """Return the profile's windows as layers; of ``STRICTEST`` one for every law there is."""
    if profile == STRICTEST:
        return tuple(dict.fromkeys(law.windows for law in LAWS.values()))
    return (LAWS[profile].windows,)
