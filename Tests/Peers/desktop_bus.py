"""A scripted logind, NetworkManager and GNOME on a private bus, by an independent D-Bus library.

usage: desktop_bus.py BUS_ADDRESS FOLDER

Reads "NAME VALUE" from FOLDER/set, applies it and writes FOLDER/done; FOLDER/ready says that it
serves, FOLDER/inhibited and FOLDER/released follow a sleep inhibitor.
"""
import asyncio
import os
import sys

from dbus_next import PropertyAccess
from dbus_next.aio import MessageBus
from dbus_next.service import ServiceInterface, dbus_property, method

address, folder = sys.argv[1:]
state = {"IdleHint": 0, "IdleSinceHint": 0, "LockedHint": 0, "Active": 1, "Type": "x11",
         "Metered": 2, "Idletime": None}
SESSION = "/org/freedesktop/login1/session/_31"


def touch(name):
    open(f"{folder}/{name}", "w").close()


class Manager(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.login1.Manager")
        self.ends = []

    @method()
    def ListSessions(self) -> "a(susso)":
        return [["1", 1000, "owner", "seat0", SESSION],
                ["2", 1000, "owner", "", "/org/freedesktop/login1/session/remote"]]

    @method()
    async def Inhibit(self, what: "s", who: "s", why: "s", mode: "s") -> "h":
        assert (what, mode) == ("idle", "block"), (what, mode)
        mine, theirs = os.pipe()
        asyncio.get_running_loop().add_reader(mine, self.ended, mine)
        # The library sends the file after this returns; the copy here must not keep it open.
        asyncio.get_running_loop().call_later(0.3, self.sent, theirs)
        return theirs

    def sent(self, theirs):
        os.close(theirs)
        touch("inhibited")

    def ended(self, mine):
        asyncio.get_running_loop().remove_reader(mine)
        os.close(mine)
        touch("released")


class Session(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.login1.Session")

    @dbus_property(access=PropertyAccess.READ)
    def IdleHint(self) -> "b":
        return bool(state["IdleHint"])

    @dbus_property(access=PropertyAccess.READ)
    def IdleSinceHint(self) -> "t":
        return state["IdleSinceHint"]

    @dbus_property(access=PropertyAccess.READ)
    def LockedHint(self) -> "b":
        return bool(state["LockedHint"])

    @dbus_property(access=PropertyAccess.READ)
    def Active(self) -> "b":
        return bool(state["Active"])

    @dbus_property(access=PropertyAccess.READ)
    def Type(self) -> "s":
        return state["Type"]

    @dbus_property(access=PropertyAccess.READ)
    def Class(self) -> "s":
        return "user"

    @dbus_property(access=PropertyAccess.READ)
    def Seat(self) -> "(so)":
        return ["seat0", "/org/freedesktop/login1/seat/seat0"]


class Network(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.NetworkManager")

    @dbus_property(access=PropertyAccess.READ)
    def Metered(self) -> "u":
        return state["Metered"]


class Idle(ServiceInterface):
    def __init__(self):
        super().__init__("org.gnome.Mutter.IdleMonitor")

    @method()
    def GetIdletime(self) -> "t":
        return state["Idletime"]


async def main():
    bus = await MessageBus(bus_address=address, negotiate_unix_fd=True).connect()
    bus.export("/org/freedesktop/login1", Manager())
    bus.export(SESSION, Session())
    bus.export("/org/freedesktop/NetworkManager", Network())
    bus.export("/org/gnome/Mutter/IdleMonitor/Core", Idle())
    await bus.request_name("org.freedesktop.login1")
    await bus.request_name("org.freedesktop.NetworkManager")
    touch("ready")
    while True:
        await asyncio.sleep(0.02)
        try:
            with open(f"{folder}/set") as file:
                name, value = file.read().split(" ", 1)
        except (FileNotFoundError, ValueError):
            continue
        os.unlink(f"{folder}/set")
        state[name] = value if name == "Type" else int(value)
        if name == "Idletime":
            await bus.request_name("org.gnome.Mutter.IdleMonitor")
        touch("done")


asyncio.run(main())
