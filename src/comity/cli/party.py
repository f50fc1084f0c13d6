"""`comity party init|card|add|list`: a party's folder and key, and the cards of the others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from comity.node.card import Card
    from comity.node.folder import PartyFolder

app = typer.Typer(
    help="Make a party's key and folder, and exchange cards with the others.", no_args_is_help=True
)

Folder = Annotated[
    Path, typer.Option("--folder", metavar="DIR", help="The party's folder, which holds its key.")
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Holds the key's passphrase. Otherwise: COMITY_PASSPHRASE_FILE, COMITY_PASSPHRASE, or asked.",
    ),
]
JsonFile = Annotated[
    str | None,
    typer.Option("--json", metavar="FILE", help="Write the result as JSON; - for standard output."),
]


@app.command("init")
def init(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As agreements write it: north-hospital.")],
    folder: Folder,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="https://HOST:PORT", help="Where the others reach this party's node."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: JsonFile = None,
) -> int:
    """Make a party: a folder, a key that is made once, and a certificate made from it."""
    from comity.cli.output import check_writable, write_json
    from comity.cli.passphrase import new_passphrase
    from comity.node.card import check_name, host_and_port
    from comity.node.folder import DEFAULT_URL, PartyFolder

    check_writable(json, "--json")
    check_name(name)
    host_and_port(url or DEFAULT_URL)
    passphrase = new_passphrase(passphrase_file)
    made = PartyFolder.create(folder, name, url or DEFAULT_URL, passphrase)
    card = made.card()
    if json is not None:
        write_json({**_about(card), "folder": str(folder), "passphrase": passphrase is not None}, json)
    if json == "-":
        return 0
    print(f"Made the party '{name}' in {folder}")
    _print_card(card)
    kept = (
        "under its passphrase" if passphrase else "without a passphrase: whoever reads the file has the key"
    )
    print(f"  kept in      {made.key_path} ({kept})")
    if url is None:
        print(f"No --url was given: at {DEFAULT_URL} only this machine reaches it. Change it with:")
        print(f"  comity party card --folder {folder} --renew --url https://HOST:PORT")
    print("Next: hand your card to the other parties, by a way that they trust:")
    print(f"  comity party card --folder {folder} --json {name}.card.json")
    return 0


@app.command("card")
def card(
    folder: Folder,
    renew: Annotated[
        bool,
        typer.Option(
            "--renew", help="Make a new certificate for the same key; all others need the new card."
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="https://HOST:PORT", help="With --renew: the node's new address."),
    ] = None,
    passphrase_file: PassphraseFile = None,
    json: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the card to a file instead of standard output."),
    ] = None,
) -> int:
    """Print this party's card: name, address, key and certificate, signed. It holds no secret."""
    from comity.cli.output import check_writable, write_json
    from comity.errors import UsageError

    check_writable(json, "--json")
    if url is not None and not renew:
        raise UsageError("a new --url needs a new card for everybody: say --renew with it")
    own = _open(folder, passphrase_file)
    if renew:
        own.renew(url)
    made = own.card()
    write_json(made.to_dict(), json or "-")
    if json not in (None, "-"):
        print(f"Wrote the card of '{own.name}' to {json}")
        _print_card(made)
        print("Whoever gets it runs: comity party add CARD --folder DIR, and compares the key with you.")
    return 0


@app.command("add")
def add(
    card: Annotated[Path, typer.Argument(metavar="CARD", help="Another party's card.")],
    folder: Folder,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", metavar="ed25519:...", help="The key that party told you: the card must have it."
        ),
    ] = None,
    json: JsonFile = None,
) -> int:
    """Verify another party's card and keep it. The same key may come with a newer card, another key never."""
    from comity.cli.output import check_apart, check_writable, write_json
    from comity.crypto.keys import VerifyKey
    from comity.errors import VerificationFailed
    from comity.node.card import Card
    from comity.node.folder import PartyFolder

    check_apart({"the card": card}, {"--json": json})
    check_writable(json, "--json")
    own = PartyFolder.open(folder)
    given = Card.read(card)
    if key is not None and VerifyKey.parse(key) != given.key:
        raise VerificationFailed(
            f"the card {card} of '{given.name}' has the key {given.key}, not the one given with --key: "
            "it is not that party's card; nothing was kept"
        )
    own.add_peer(given)
    if json is not None:
        write_json(_about(given), json)
    if json != "-":
        print(f"Kept the card of '{given.name}' in {own.peers_path}")
        _print_card(given)
        if key is None:
            print(f"Compare this key with '{given.name}' by telephone or in person before you sign anything.")
    return 0


@app.command("list")
def list_parties(folder: Folder, json: JsonFile = None) -> int:
    """List this party and those whose cards it has."""
    from comity.cli.output import check_writable, write_json
    from comity.node.folder import PartyFolder

    check_writable(json, "--json")
    own = PartyFolder.open(folder)
    peers = own.peers()
    if json is not None:
        write_json(
            {
                "name": own.name,
                "url": own.url,
                "key": str(own.verify_key),
                "peers": [_about(card) for card in peers.values()],
            },
            json,
        )
    if json != "-":
        print(f"{own.name} (this party)")
        print(f"  key          {own.verify_key}")
        print(f"  address      {own.url}")
        for card in peers.values():
            print(card.name)
            _print_card(card)
        if not peers:
            print("No cards of others yet: comity party add CARD --folder DIR")
    return 0


def _open(folder: Path, passphrase_file: Path | None) -> PartyFolder:
    """The folder, with the key's passphrase."""
    from comity.cli.passphrase import passphrase_of
    from comity.node.folder import PartyFolder

    own = PartyFolder.open(folder)
    return PartyFolder.open(folder, passphrase_of(own.key_path, passphrase_file))


def _about(card: Card) -> dict[str, Any]:
    first, last = card.valid
    return {
        "name": card.name,
        "url": card.url,
        "key": str(card.key),
        "certificate_from": first.isoformat(),
        "certificate_until": last.isoformat(),
    }


def _print_card(card: Card) -> None:
    from datetime import UTC, datetime

    last = card.valid[1]
    late = " (EXPIRED: ask for a new card)" if last < datetime.now(UTC) else ""
    print(f"  key          {card.key}")
    print(f"  address      {card.url}")
    print(f"  certificate  valid until {last:%Y-%m-%d %H:%M} UTC{late}")
