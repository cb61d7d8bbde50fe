"""Facts about the logs: what lies in the runs folder now, for pages that bind figures to it. Lines are counted, not quoted."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from etl.audit import read_audit
from etl.log import log_parts
from etl.log_analysis import RunLog, count_events, read_log, runs_with_logs
from etl.settings import Settings

MB = 1_000_000


@dataclass(frozen=True)
class LogFacts:
    """The logs below a runs folder; only the `published` newest are read."""

    runs: Path
    published: int

    @cached_property
    def folders(self) -> list[Path]:
        """Folders of runs that have a log, oldest first."""
        return runs_with_logs(self.runs)

    @cached_property
    def newest(self) -> list[RunLog]:
        """The newest logs, oldest first."""
        return [read_log(folder) for folder in self.folders[-self.published :]]

    def log_of(self, run_id: str) -> RunLog | None:
        """Return the log of a run, or None when it is not there any more."""
        folder = self.runs / run_id
        return read_log(folder) if log_parts(folder) else None

    def seen(self) -> dict[str, int]:
        """Return how often each event stands in the newest logs and in the audit log outside of runs, by its name."""
        counts: dict[str, int] = {}
        for name, _, number in count_events(self.newest):
            counts[name] = counts.get(name, 0) + number
        for line in read_audit(self.runs):
            if line.get("run_id") is None:
                counts[str(line.get("event"))] = counts.get(str(line.get("event")), 0) + 1
        return counts

    def figures(self) -> dict[str, int | float | str]:
        """Return what pages bind: runs with a log, files, megabytes, mean kilobytes of a run, oldest and newest run, audit lines."""
        sizes = [part.stat().st_size for folder in self.folders for part in log_parts(folder)]
        return {
            "runs": len(self.folders),
            "files": len(sizes),
            "megabytes": round(sum(sizes) / MB, 3),
            "kilobytes_a_run": round(sum(sizes) / 1000 / len(self.folders), 1) if self.folders else 0,
            "oldest": self.folders[0].name if self.folders else "none",
            "audit_lines": sum(1 for _ in read_audit(self.runs)),
        }


def log_facts(settings: Settings) -> LogFacts:
    """Return the facts about the logs that these settings point to."""
    return LogFacts(settings.runs.path, settings.runs.published)
