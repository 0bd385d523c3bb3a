from events import Event, OrderShipped


def received(body: bytes) -> str:
    event = Event.model_validate_json(body).root
    if isinstance(event, OrderShipped):
        return f"{event.data.order.number} left with {event.data.parcel.carrier}"
    return f"{event.type} is not for us"
