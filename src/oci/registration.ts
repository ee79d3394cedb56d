/** Documents that tell container engines of the hook. */

/** How to start the hook: an absolute path and all words of its command line, the first its name. */
export interface HookCommand {
  path: string;
  args: readonly string[];
}

/** A hook may take so many seconds; one that waits longer is stuck. */
const TIMEOUT_SECONDS = 30;
/** The earliest stage at which the network namespace is there, and the one after the container's end. */
const STAGES = ["createRuntime", "poststop"] as const;

/** Which containers the hook is called for: all of them, or those with an annotation. */
export type HookCondition = { always: true } | { annotation: string; value: string };

/** What the hook needs of its environment is nothing, and nobody else's should get into it. */
const call = ({ path, args }: HookCommand): Record<string, unknown> => ({
  path,
  args,
  env: [],
  timeout: TIMEOUT_SECONDS,
});

/** A description for a hooks.d directory. @see oci-hooks(5) */
export const hookDescription = (command: HookCommand, condition: HookCondition): unknown => ({
  version: "1.0.0",
  hook: call(command),
  when:
    "always" in condition
      ? { always: true }
      : { annotations: { [exactly(condition.annotation)]: exactly(condition.value) } },
  stages: STAGES,
});

/** A regular expression that matches this text only. */
const exactly = (text: string): string => `^${text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)}$`;

/** The name of the device that connects a container. */
export const CDI_DEVICE = "bucatini.org/net=user";

/** A specification of the Container Device Interface. @see https://github.com/cncf-tags/container-device-interface */
export const cdiSpecification = (command: HookCommand): unknown => ({
  cdiVersion: "0.5.0",
  kind: "bucatini.org/net",
  devices: [
    {
      name: "user",
      containerEdits: { hooks: STAGES.map((hookName) => ({ hookName, ...call(command) })) },
    },
  ],
});
