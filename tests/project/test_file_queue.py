"""The queue in a folder loses, doubles and halves no message."""

from __future__ import annotations

import multiprocessing
import time
from typing import TYPE_CHECKING, Any

from kombu import Connection, Consumer, Queue

from project.celery import app

if TYPE_CHECKING:
    from multiprocessing.queues import Queue as ProcessQueue
    from pathlib import Path

QUEUE = Queue("work", routing_key="work")


def _connect(folder: Path) -> Connection:
    return Connection("files://", transport_options={"data_folder_in": str(folder)})


def _publish(folder: Path, first: int, end: int) -> None:
    with _connect(folder) as connection:
        producer = connection.Producer()
        for number in range(first, end):
            body = {"number": number, "padding": "x" * 4000}
            producer.publish(body, routing_key="work", declare=[QUEUE])


def _consume(folder: Path, taken: ProcessQueue[int]) -> None:
    """Take messages until one says to stop."""
    with _connect(folder) as connection:
        queue = QUEUE(connection.channel())
        queue.declare()
        while True:
            message = queue.get()
            if message is None:
                time.sleep(0.0005)
                continue
            message.ack()
            taken.put(message.payload["number"])
            if message.payload["number"] < 0:
                return


def test_messages_come_in_the_order_they_were_sent(tmp_path: Path) -> None:
    _publish(tmp_path, 0, 5)
    with _connect(tmp_path) as connection:
        queue = QUEUE(connection.channel())
        queue.declare()
        for number in range(5):
            message = queue.get()
            assert message is not None
            assert message.payload["number"] == number
            message.ack()
        assert queue.get() is None
    assert not list(tmp_path.iterdir())


def test_a_message_that_is_still_being_written_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000001_a.work.msg.draft").write_bytes(b"")
    with _connect(tmp_path) as connection:
        assert QUEUE(connection.channel()).get() is None


def test_two_writers_and_two_readers_pass_each_message_exactly_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    taken: ProcessQueue[int] = context.Queue()
    readers = [context.Process(target=_consume, args=(tmp_path, taken)) for _ in range(2)]
    writers = [
        context.Process(target=_publish, args=(tmp_path, first, first + 1000))
        for first in (0, 1000)
    ]
    for process in readers + writers:
        process.start()
    for writer in writers:
        writer.join(timeout=30)
        assert writer.exitcode == 0
    for number in (-1, -2):
        _publish(tmp_path, number, number + 1)
    numbers = sorted(taken.get(timeout=30) for _ in range(2002))
    for reader in readers:
        reader.join(timeout=10)
        assert reader.exitcode == 0
    assert numbers == [-2, -1, *range(2000)]


def test_a_job_waits_neither_behind_an_imports_previews_nor_behind_what_is_looked_at(
    tmp_path: Path,
) -> None:
    taken: list[str] = []

    def take(message: Any) -> None:
        taken.append(message.headers["task"])
        message.ack()

    with _connect(tmp_path) as connection:
        for _ in range(20):
            for name in ("frames.render_previews", "frames.render_requested"):
                app.send_task(name, kwargs={"keys": []}, connection=connection)
        app.send_task("frames.run_job", kwargs={"job_uid": ""}, connection=connection)
        with connection.channel() as channel:
            consumer = Consumer(channel, [*app.amqp.queues.values()], on_message=take)
            consumer.qos(prefetch_count=1)
            with consumer:
                for _ in range(3):
                    connection.drain_events(timeout=5)
    assert set(taken) == {
        "frames.render_previews",
        "frames.render_requested",
        "frames.run_job",
    }
