"""Puts the small server of this pack in aiohttp's place: the tests run where aiohttp is not installed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
