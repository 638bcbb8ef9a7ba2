import { expect, test } from "vitest";
import { netrcLogin } from "../../contract/netrc.ts";

const text = `# of mine
machine a.example login ann password pa#ss
machine b.example
	password only-a-token   # no user
	account x
macdef init
	machine c.example password not-this
	bye

machine c.example login carl
machine A.example login late password later
default login anonymous password me@here
`;

test.each([
  ["a.example", "ann pa#ss"],
  ["b.example", " only-a-token"],
  // It has a user alone: nobody else's password stands in.
  ["c.example", undefined],
  ["d.example", "anonymous me@here"],
])("%s: %s", (host, wanted) => {
  const found = netrcLogin(text, host);
  expect(found === undefined ? undefined : `${found.login} ${found.password.reveal()}`).toBe(wanted);
});

test.each(["", "machine", "password x", "machine a.example password", "login a\nmachine", "default"])("says nothing: %j", (odd) => {
  expect(netrcLogin(odd, "a.example")?.password.reveal() || undefined).toBeUndefined();
});
