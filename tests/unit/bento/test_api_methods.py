"""What hand_gesture/bento/api_methods.py relies on in BentoML: if one fails after an update, fix that module."""

import asyncio

import bentoml
import numpy as np
from numpy.typing import NDArray

from hand_gesture.bento.api_methods import BatchLimits, find_api_methods


@bentoml.service(name="two_methods", metrics={"enabled": False})
class Service:
    """A batchable API method and a plain one."""

    def __init__(self) -> None:
        self.factor = 2

    @bentoml.api(route="/one", batchable=True, max_batch_size=4, max_latency_ms=1500)
    async def first_of_each(self, hands: NDArray[np.float64]) -> list[float]:
        return [self.factor * float(hand[0]) for hand in hands]

    @bentoml.api(route="/many")
    async def count(self, hands: NDArray[np.float64]) -> int:
        return self.factor * len(hands)


def test_methods_are_found_by_their_routes_with_their_limits_and_can_be_called() -> None:
    async def main() -> None:
        app = Service.to_asgi(is_main=True)  # type: ignore[attr-defined]
        async with app.router.lifespan_context(app):
            methods = find_api_methods(app)
            assert {*methods} == {"/one", "/many"}
            assert methods["/one"].batches == BatchLimits(max_size=4, max_wait_seconds=1.5)
            assert methods["/many"].batches is None
            assert await methods["/one"].call(np.array([[1.0, 2.0], [3.0, 4.0]])) == [2, 6]
            assert await methods["/many"].call(np.zeros((5, 63))) == 10

    asyncio.run(main())
