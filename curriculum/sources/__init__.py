"""Where tasks come from: one module a source, and `build_task` in front of them."""

from perdure.curriculum.sources.config import Dataset, PythonTask, ReasoningGym, RewardConfig, Source, TaskConfig

__all__ = ["Dataset", "PythonTask", "ReasoningGym", "RewardConfig", "Source", "TaskConfig"]
