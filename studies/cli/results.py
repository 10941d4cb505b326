"""`wirelessfl results`: the ledger of claims from committed results."""

from pathlib import Path

import click

from studies.cli.options.scenario import json_option, print_json

EXAMPLES = """\b
Examples:
  wirelessfl results
  wirelessfl results --results runs/results --page ledger.md
  wirelessfl results --page docs/ledger.md --gallery docs/gallery.md
  wirelessfl results --check --page docs/ledger.md --gallery docs/gallery.md
"""


@click.command(epilog=EXAMPLES, short_help="Claims of the papers with the verdicts of results.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("studies/results"),
    show_default=True,
    help="Folder with a folder of results for each study.",
)
@click.option("--page", type=click.Path(path_type=Path), help="Write all claims as Markdown.")
@click.option("--gallery", type=click.Path(path_type=Path), help="Write all figures as Markdown.")
@click.option(
    "--check",
    is_flag=True,
    help="Write nothing; exit status 1 where results, the page or the code differ.",
)
@json_option
def results(
    results: Path, page: Path | None, gallery: Path | None, check: bool, as_json: bool
) -> None:
    """Count the claims of committed results by source, kind and verdict.

    Each claim counts once: with its study's own settings, at the largest scale. With --check, the
    claims and experiments of the results must be those of the code, and the page theirs.
    """
    from studies.ledger import counts_of, faults_of, gallery_page, ledger_page, read_committed
    from studies.ledger.page import count_table
    from studies.report.output import check_output
    from studies.report.terminal import print_table, print_text
    from wirelessfl.records.run_folder import write_atomically

    check_output("--page", page, (".md",))
    check_output("--gallery", gallery, (".md",))
    found = read_committed(results)
    texts = {} if page is None else {page: ("--page", ledger_page(found))}
    if gallery is not None:
        texts[gallery] = ("--gallery", gallery_page(found, gallery))
    if check:
        faults = faults_of(found)
        faults += [
            f"{file} is not the page of {results}: write it with {option} {file}"
            for file, (option, text) in texts.items()
            if not file.is_file() or file.read_text() != text
        ]
        for fault in faults:
            print_text(fault)
        if faults:
            raise SystemExit(1)
    else:
        for file, (_, text) in texts.items():
            write_atomically(file, text.encode())
    if as_json:
        print_json(
            [
                {"source": source, "kind": kind, "verdict": verdict, "claims": number}
                for source, numbers in counts_of(found).items()
                for (kind, verdict), number in sorted(numbers.items())
            ]
        )
        return
    print_table(*count_table(found), title="claims by source, kind and verdict")
