"""A person's payloads are erased by a program, in its account alone; and personal fields are for who may see them."""

from dispatcher.container import Container
from tests.support.api import Server
from tests.support.service import Service

WEBHOOK = {"webhook_url": "http://127.0.0.1:9/hook", "events": ["subject_created"]}


def emit(service: Service, account: str, person: int) -> int:
    event = {"name": "subject_created", "body": {"subject": {"id": person, "name": "Jana"}}}
    id_: int = service.post(f"{account}/events", json=event).json()["id"]
    return id_


def test_a_persons_payloads_are_erased_in_one_account(service: Service, customer: str, container: Container) -> None:
    other = f"{customer}.other"
    service.put(other, json={})
    service.post(f"{customer}/webhooks", json=WEBHOOK)
    ours, of_another, in_another = emit(service, customer, 17), emit(service, customer, 18), emit(service, other, 17)
    container.fan_out_runner.run()

    answer = service.post(f"{customer}/erasures", json={"subject": "17"})

    erasure = answer.json()
    assert (answer.status_code, erasure["events"], erasure["cancelled"]) == (200, 1, 1)
    assert service.get(f"{customer}/erasures").json()["data"] == [erasure]
    assert service.get(f"{customer}/erasures/{erasure['id']}").json() == erasure
    assert service.get(f"{other}/erasures/{erasure['id']}").status_code == 404
    events = [(customer, ours), (customer, of_another), (other, in_another)]
    shown = [service.get(f"{account}/events/{id_}").json() for account, id_ in events]
    assert [(one["erasure"], bool(one["body"])) for one in shown] == [("subject", False), (None, True), (None, True)]
    (delivery,) = service.get(f"{customer}/deliveries", params={"event_id": ours}).json()["data"]
    delivery = service.get(f"{customer}/deliveries/{delivery['id']}").json()
    assert (delivery["state"], delivery["erasure"], delivery["body"]["body"]) == ("cancelled", "subject", {})
    assert service.get(f"{customer}/audit_log").json()["data"][0]["action"] == "erasure.finished"
    assert service.post(f"{customer}/erasures", json={"subject": 17}).status_code == 422


def test_personal_fields_need_a_scope_of_their_own(
    service: Service, customer: str, server: Server, container: Container
) -> None:
    hook = service.post(f"{customer}/webhooks", json=WEBHOOK).json()["id"]
    event = emit(service, customer, 17)
    container.fan_out_runner.run()
    (delivery,) = service.get(f"{customer}/deliveries", params={"webhook_id": hook}).json()["data"]
    narrow = Service.of(server, container, "events:read", "deliveries")
    paths = (f"{customer}/events/{event}", f"{customer}/deliveries/{delivery['id']}")

    whole, masked = ([one.get(path).text for path in paths] for one in (service, narrow))

    assert all('"Jana"' in text for text in whole)
    assert not any("Jana" in text for text in masked)
    assert all('"***"' in text for text in masked)
