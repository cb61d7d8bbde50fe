"""Proofs: what can prove an acceptance criterion, as `backlog.yaml` writes it. `generators.evidence` judges them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class Part(BaseModel):
    """A part of the backlog: nothing beyond its fields, and nothing that changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Text = Annotated[str, Field(min_length=1)]


class _Proof(Part):
    planned: Text | None = Field(None, description="What is still to be built; the proof is missing until then, and this goes")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return ": ".join(str(value) for name, value in self if name not in ("kind", "planned") and value is not None)


class SectionProof(_Proof):
    """A section of a generated page, with content whose figures equal their sources."""

    kind: Literal["section"] = Field(description="A section of a generated page")
    page: Text = Field(description="Slug of the deliverable")
    heading: Text = Field(description="The heading as it stands on the page")
    figures: int | None = Field(None, ge=1, description="How many bound figures must stand there at least")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return f"{self.page}: {self.heading}"


class TestProof(_Proof):
    """A test that passed in the last test run."""

    __test__ = False  # no test class, whatever pytest makes of the name

    kind: Literal["test"] = Field(description="A test")
    node: Text = Field(description="Node id of the test or of a group of tests, such as tests/test_rules.py::test_name")


class RunProof(_Proof):
    """An expression that is true for the newest run record. Language: simpleeval's, with the record's fields as names."""

    kind: Literal["run"] = Field(description="A statement about the newest run")
    expression: Text = Field(description="simpleeval expression over the record, such as rows.read > 0")


class FileProof(_Proof):
    """A file that is what it should be: whatever reads its kind can read it, and it fits its schema where one is named."""

    kind: Literal["file"] = Field(description="A file")
    path: Text = Field(description="Path from the project's folder; {run} stands for the folder of the newest run")
    fits: Text | None = Field(
        None, description="Published schema that the content, or each line of it, fits, such as log; or a file .xsd"
    )


class DrillProof(_Proof):
    """A rehearsed failure that was detected and recovered."""

    kind: Literal["drill"] = Field(description="A rehearsed failure")
    name: Text = Field(description="Id of the failure that is rehearsed, such as run-killed")


class CommandProof(_Proof):
    """A command that ended well when the commands were tried last."""

    kind: Literal["command"] = Field(description="A command")
    run: Text = Field(description="The command as one would type it; it starts with python -m")


class SignoffProof(_Proof):
    """A person's signature under a page, for what only people can judge."""

    kind: Literal["signoff"] = Field(description="A person's signature")
    page: Text = Field(description="Slug of the deliverable")
    role: Text = Field(description="Who signs")

    @property
    def what(self) -> str:
        """Say what is looked at."""
        return f"{self.page}, by the {self.role}"


Proof = Annotated[
    SectionProof | TestProof | RunProof | FileProof | DrillProof | CommandProof | SignoffProof, Field(discriminator="kind")
]
