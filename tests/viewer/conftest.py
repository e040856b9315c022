"""What every test with a window checks behind itself."""

import pytest


@pytest.fixture(autouse=True)
def no_worker_outlives_its_test():
    from qtpy.QtCore import QThreadPool

    yield
    assert QThreadPool.globalInstance().activeThreadCount() == 0, "a worker is still running"
