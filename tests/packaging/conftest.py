"""The image is built once for all tests that run something in it."""

import pytest

from tests.packaging.image import Image, build


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The Dockerfile's result, in a folder."""
    return build(tmp_path_factory.mktemp("image"))
