"""Importing this registers every row."""

from . import (clocks, networks, overload, postgres, processes, redis_process,  # noqa: F401
               topology)
