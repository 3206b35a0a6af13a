"""The sealed tree as rows: whole tiles, the edge that still grows, signed checkpoints, and where they were taken."""

from typing import Final

from django.db import models
from django.db.models import F, Q

NUMBER_BITS: Final = 48


class AuditTile(models.Model):
    """256 hashes of one level, which never change. Its number is in its identifier, so that none is there twice."""

    id = models.BigIntegerField(primary_key=True)
    hashes = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.id >> NUMBER_BITS}/{self.id % (1 << NUMBER_BITS)}"

    @staticmethod
    def id_of(level: int, number: int) -> int:
        return level << NUMBER_BITS | number


class AuditEdge(models.Model):
    """The short tile at the right of each level, written anew at each seal. It can be made again from the rest."""

    level = models.PositiveSmallIntegerField(primary_key=True)
    number = models.BigIntegerField()
    hashes = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.level}/{self.number}"


class AuditCheckpoint(models.Model):
    """A signed statement of what the first `size` events hash to.

    previous_size: what it was made from, so that no two can follow the same one. None for a repetition of the newest,
    which shows while nothing happens that somebody is there.
    """

    size = models.BigIntegerField()
    previous_size = models.BigIntegerField(null=True, unique=True)
    root = models.CharField(max_length=64)
    note = models.TextField()
    signing_key = models.PositiveSmallIntegerField()
    gaps = models.BigIntegerField()  # identifiers without an event, up to here
    findings = models.TextField(blank=True)  # JSON list of [event, what], what was odd but no reason to stop
    made_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["size"], name="checkpoint_size", condition=Q(previous_size__isnull=False)),
            models.CheckConstraint(name="checkpoint_grows", condition=Q(previous_size__lt=F("size"))),
        ]
        indexes = [models.Index(fields=["id"], name="checkpoint_finding", condition=~Q(findings=""))]

    def __str__(self) -> str:
        return f"checkpoint of {self.size} events"


class AuditExport(models.Model):
    """How far a place outside the database has been told: everything up to `checkpoint_id`, in order."""

    sink = models.CharField(max_length=200, primary_key=True)
    checkpoint_id = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    exported_at = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)  # that failed since the last success
    try_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=200, blank=True)
    receipt = models.TextField(blank=True)  # what the place answered, such as a witness's signature

    def __str__(self) -> str:
        return self.sink
