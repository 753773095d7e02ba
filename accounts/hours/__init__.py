"""When people may be called and texted: windows, laws as data, the places of numbers, and the
account setting that keeps every way in to them."""
