/** `make install` and `make uninstall`: what they do with a tree of files, and that what is there then works. */
import { beforeAll, describe, expect, test } from "@jest/globals";
import { expectNothingLeft, withNamespaces, type Network } from "../support/network.ts";
import { stageInstaller } from "../support/readme.ts";
import { useStage } from "../support/stage.ts";

const stage = useStage();

beforeAll(() => stageInstaller(stage()));

/** All files below $W but those of the product's own directory, and what links lead to. */
const SHOW = "find $W -mindepth 1 -not -path '*/lib/bucatini/*' -printf '%P %l\\n' | sort";
const PRELUDE = "set -e; W=$TMPDIR/w; mkdir -p $W; export W";

async function script(body: (run: (text: string) => Promise<string>, net: Network) => Promise<void>) {
  await withNamespaces(stage(), {}, async (net) => {
    await body(async (text) => net.user.run(`${PRELUDE}\n${text}`), net);
    await net.user.run("rm -r $TMPDIR/w");
    await expectNothingLeft(net);
  });
}

const INSTALL = "sh $T/install.sh install";
const UNINSTALL = "sh $T/install.sh uninstall";

describe("install", () => {
  test("what is installed works from where it is, and uninstall takes all of it away again", async () => {
    await script(async (run) => {
      const all = "CNI_BIN=$W/cni PASTA_BIN=$W/pasta HOOKS=$W/hooks.d CDI=$W/cdi";
      const shown = await run(`PREFIX=$W/usr ${all} ${INSTALL}\n${SHOW}`);
      const dir = await run("printf %s $W");
      const lib = `${dir}/usr/lib/bucatini`;
      const files = shown.split("\n").map((line) => line.trim());
      expect(files).toEqual(
        expect.arrayContaining([
          `cni/bucatini ${lib}/cni/bucatini`,
          `pasta/pasta ${lib}/bin/pasta`,
          "hooks.d/bucatini.json",
          "cdi/bucatini.org-net.json",
          `usr/bin/bucatini ${lib}/bin/bucatini`,
          `usr/libexec/cni/bucatini ${lib}/cni/bucatini`,
          `usr/libexec/netavark/bucatini ${lib}/netavark/bucatini`,
          "usr/lib/systemd/user/bucatini-broker.service",
          "usr/lib/systemd/user/bucatini-broker.socket",
        ]),
      );
      const hook = JSON.parse(await run("cat $W/hooks.d/bucatini.json"));
      expect(hook.hook.args[1]).toBe(`${lib}/hooks/bucatini-oci-hook`);
      expect(await run("cat $W/usr/lib/systemd/user/bucatini-broker.service")).toContain(
        `ExecStart=${dir}/usr/bin/bucatini broker\n`,
      );
      // Nobody's PATH is needed.
      expect(await run("env -i $W/usr/bin/bucatini --version; env -i $W/pasta/pasta --version")).toMatch(
        /^bucatini \d.*\n.+/,
      );
      expect(await run(`${UNINSTALL.replace("sh", "PREFIX=$W/usr sh")}\n${SHOW}`)).toBe("");
    });
  });

  test("containers are connected by what is installed, with an empty environment", async () => {
    await script(async (run) => {
      const output = await run(`PREFIX=$W/usr CNI_BIN=$W/cni ${INSTALL}
        unshare -Urn sleep 1000 >/dev/null & T=$!
        until [ "$(readlink /proc/$T/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do sleep 0.02; done
        for verb in ADD DEL; do
          echo '{"cniVersion":"1.0.0","name":"net","type":"bucatini"}' | env -i CNI_COMMAND=$verb CNI_CONTAINERID=c1 \\
            CNI_NETNS=/proc/$T/ns/net CNI_IFNAME=eth0 $W/cni/bucatini
        done
        kill $T`);
      expect(JSON.parse(output).ips[0].address).toBe("198.51.100.2/24");
    });
  });

  test("DESTDIR is put in front of everything, and is in no file", async () => {
    await script(async (run) => {
      const all = "PREFIX=/usr CNI_BIN=/opt/cni/bin HOOKS=/usr/share/containers/oci/hooks.d DESTDIR=$W/new";
      const shown = await run(`${all} ${INSTALL}\n${SHOW}`);
      expect(shown).toContain("new/opt/cni/bin/bucatini /usr/lib/bucatini/cni/bucatini\n");
      expect(await run("grep -rl $W $W || true")).toBe("");
      expect(await run(`PREFIX=/usr DESTDIR=$W/new ${UNINSTALL}\n${SHOW}`)).toBe("new \n");
    });
  });

  test("a second install keeps what the first one made, and uninstall what belongs to others", async () => {
    await script(async (run) => {
      const install = `PREFIX=$W/usr ${INSTALL}`;
      const first = await run(`mkdir $W/usr; touch $W/usr/file; CNI_BIN=$W/cni ${install}\n${SHOW}`);
      const second = await run(`touch $W/usr/lib/bucatini/old; PASTA_BIN=$W/pasta ${install}\n${SHOW}`);
      expect(second.split("\n").filter((line) => !first.includes(line))).toEqual([
        "pasta ",
        expect.stringMatching(/^pasta\/pasta .*\/usr\/lib\/bucatini\/bin\/pasta$/),
      ]);
      expect(second).toContain(first.split("\n").find((line) => line.startsWith("cni/bucatini ")));
      expect(await run("ls $W/usr/lib/bucatini")).not.toContain("old");
      expect(await run(`PREFIX=$W/usr ${UNINSTALL}\n${SHOW}`)).toBe("usr \nusr/file \n");
    });
  });

  test("nothing is overwritten that is not ours, and wrong paths are refused", async () => {
    await script(async (run) => {
      const output = await run(`mkdir $W/cni; touch $W/cni/bucatini
        PREFIX=$W/usr CNI_BIN=$W/cni ${INSTALL} 2>&1 || echo "status $?"
        PREFIX=usr ${INSTALL} 2>&1 || echo "status $?"
        PREFIX="$W/a b" ${INSTALL} 2>&1 || echo "status $?"
        PREFIX=$W/usr NODE=/nowhere/node ${INSTALL} 2>&1 || echo "status $?"
        ${SHOW}`);
      expect(output.replaceAll(/\/\S*\/w\//g, "W/")).toBe(
        [
          "cannot install: W/cni/bucatini is there, and not from bucatini; remove it, or install elsewhere",
          "status 1",
          'cannot install: "usr" is no absolute path; give one that begins with a slash',
          "status 1",
          'cannot install: "W/a b" has a character in it that others trip over; choose a plain path',
          "status 1",
          'cannot install: there is no Node.js at "/nowhere/node"; install it, or say where it is with NODE=',
          "status 1",
          "cni ",
          "cni/bucatini ",
          "",
        ].join("\n"),
      );
    });
  });
});
