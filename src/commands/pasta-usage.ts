/** `pasta --help`, from the table that the command line is read by. */
import { PASTA_OPTIONS } from "../pasta/options.ts";
import { optionRow } from "./help.ts";
import { table } from "./output.ts";

const FORMS = `Usage: pasta [OPTION]... [COMMAND [ARG]...]
       pasta [OPTION]... PID
       pasta [OPTION]... --netns PATH|NAME

bucatini's drop-in for pasta(1): connects the network namespace of a process, a
named one, or new namespaces with COMMAND, or a login shell, in them.
`;

export function usageText(): string {
  const rows = PASTA_OPTIONS.filter(({ refused }) => refused === undefined).map(optionRow);
  const refused = PASTA_OPTIONS.filter((option) => option.refused !== undefined);
  const names = refused.map(({ name }) => `--${name}`).join(", ");
  return `${FORMS}\n${table(rows)}\n\nKnown, and refused with the reason: ${names}.`;
}
