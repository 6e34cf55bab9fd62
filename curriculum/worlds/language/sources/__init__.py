"""Where tasks come from: one module a source, and `build_task` in front of them."""

from perdure.curriculum.worlds.language.tasks import (
    Dataset,
    Images,
    PythonTask,
    ReasoningGym,
    RewardConfig,
    Source,
    TaskConfig,
    TextSource,
)

__all__ = ["Dataset", "Images", "PythonTask", "ReasoningGym", "RewardConfig", "Source", "TaskConfig", "TextSource"]
