"""Puts the small tensors of this pack in torch's place: the tests run where torch is not installed."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "lib"))
