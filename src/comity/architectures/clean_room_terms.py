"""`clean-room`: what both ends call it, and the job on its way from one to the other."""

from __future__ import annotations

from typing import Final

import numpy as np

from comity.architectures.definition import Seat
from comity.architectures.exchange import send_query
from comity.cleanroom.blocks import Parameters, check_parameters
from comity.cleanroom.job import Job
from comity.errors import BadInput
from comity.wire import Channel, Message

NAME: Final = "clean-room"
TOPIC: Final = "job"


def send_job(seat: Seat, channel: Channel, job: Job, parameters: Parameters) -> None:
    """Send the same job to every provider.

    Raises:
        BadInput: if the parameters are not those that the job declares.
    """
    check_parameters(job, parameters)
    parts = {name: values.astype("<f8").tobytes() for name, values in parameters.items()}
    for name in seat.providers:
        send_query(channel, name, TOPIC, {"job": job.to_dict()}, parts)


def taken(message: Message) -> tuple[Job, Parameters]:
    """The job that was sent, and its parameters.

    Raises:
        BadInput: if it cannot be read, or its parameters are not those that it declares.
    """
    try:
        document = message.body["job"]
    except (KeyError, TypeError):
        raise BadInput(f"'{message.sender}' sent no job") from None
    job = Job.from_dict(document)
    try:
        parameters = {
            name: np.frombuffer(data, dtype="<f8").astype(np.float64) for name, data in message.parts.items()
        }
    except ValueError:
        raise BadInput(f"'{message.sender}' sent parameters that are no numbers") from None
    check_parameters(job, parameters)
    return job, parameters
