"""The messages of the Open Inference Protocol v2, as JSON has them; more fields are no fault."""

from typing import Annotated, Any

from pydantic import BaseModel, Field


class InputTensor(BaseModel):
    """A tensor that is sent; without `data` it follows the JSON as bytes."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class WantedOutput(BaseModel):
    """An output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class InferRequest(BaseModel):
    """What is asked of a network."""

    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[InputTensor]
    outputs: list[WantedOutput] | None = None


class OutputTensor(BaseModel):
    """A tensor that is answered; without `data` it follows the JSON as bytes."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float] | list[str] | None = None
    parameters: dict[str, int] | None = None


class InferAnswer(BaseModel):
    """What a network says; `model_version` is its id."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]
