"""The customer pipeline: extract, validate, enrich, score, load, record.

Nothing in here knows the generators or the site; the run record (`etl.record`) is the only door between them.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("handover")
except PackageNotFoundError:  # run from a copied folder that was never installed
    __version__ = "0+unknown"
