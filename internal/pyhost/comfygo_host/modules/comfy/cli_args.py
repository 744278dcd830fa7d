"""The command line that packs look at."""

import argparse


class Arguments(argparse.Namespace):
    """A flag that is not set is None, whatever its name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return None


args = Arguments(
    cpu=True, listen="127.0.0.1", port=8188, disable_metadata=False, base_directory=None, preview_method=None, preview_size=512,
    max_upload_size=100, enable_assets=False,
)
