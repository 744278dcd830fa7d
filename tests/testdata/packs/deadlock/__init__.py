"""Waits in its import for itself."""

import threading

lock = threading.Lock()
lock.acquire()
lock.acquire()
