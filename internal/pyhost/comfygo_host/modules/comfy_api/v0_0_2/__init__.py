"""The calls by which nodes tell of their progress."""

PROGRESS = None  # function(node, value, limit, image), set by the host


class _Execution:
    @staticmethod
    def _tell(value, max_value, node_id, preview_image):
        from comfy.model_management import throw_exception_if_processing_interrupted
        from comfy_execution.utils import get_executing_context

        context = get_executing_context()
        if node_id is None:
            if context is None:
                raise ValueError("node_id must be given outside of a running node")
            node_id = context.node_id
        throw_exception_if_processing_interrupted()
        if PROGRESS is not None:
            PROGRESS(context.prompt_id if context is not None else None, node_id, value, max_value, preview_image)


class _AsyncExecution(_Execution):
    async def set_progress(self, value, max_value, node_id=None, preview_image=None, ignore_size_limit=False):
        self._tell(value, max_value, node_id, preview_image)


class _SyncExecution(_Execution):
    def set_progress(self, value, max_value, node_id=None, preview_image=None, ignore_size_limit=False):
        self._tell(value, max_value, node_id, preview_image)


class ComfyAPI:
    VERSION = "0.0.2"

    def __init__(self):
        self.execution = _AsyncExecution()


class ComfyAPISync:
    VERSION = "0.0.2"

    def __init__(self):
        self.execution = _SyncExecution()
