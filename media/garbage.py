"""When a media process looks for garbage, and what it never looks at again.

A call that is over is freed by itself, hardly anything of it hangs in cycles. What a collection
frees besides is what Python keeps of freed objects for new ones: tuples above all, up to 2,000 of
each length, which nothing else gives back.
"""

import gc

# A call allocates and drops some thousand objects a second, hardly any of them in cycles: looking
# for those after every 700, as Python does, finds nothing and costs 5 % of the processor.
OBJECTS_BETWEEN_COLLECTIONS = 20_000


def keep_what_is_loaded() -> None:
    """Never look again at what there is now: modules, models, the SDKs' validators."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 10, 2)


def collect() -> None:
    """Look at everything else; blocks for 2 ms without a live call, and 20 ms beside 40: only where
    nobody talks.
    """
    gc.collect()
