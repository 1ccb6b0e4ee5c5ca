"""What every service answers beside its own contract: is it alive, can it work, who is it."""

from typing import Annotated, Protocol

from fastapi import APIRouter, Depends

from .common import Health, Info, implementation_of, problems


class Service(Protocol):
    """What every implementation provides beside its contract's own operations."""

    async def check(self) -> None:
        """Return when the service can do its work; raise a problem with status 503 when it cannot."""

    def info(self) -> Info: ...


Implementation = Annotated[Service, Depends(implementation_of(Service))]
router = APIRouter(tags=["operations"])


@router.get("/livez", operation_id="livez")
async def livez() -> Health:
    """The process answers; nothing else is touched."""
    return Health(status="ok")


@router.get("/readyz", operation_id="readyz", responses=problems())
async def readyz(service: Implementation) -> Health:
    """200 when the model or database is really usable, otherwise 503."""
    await service.check()
    return Health(status="ok")


@router.get("/info", operation_id="info", responses=problems())
async def info(service: Implementation) -> Info:
    """Contract, implementation, version, model and revision."""
    return service.info()
