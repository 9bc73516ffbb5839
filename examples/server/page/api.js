// The REST API, as the page asks it.

const tokenKey = "switchboard-token";

export const session = {
  token: sessionStorage.getItem(tokenKey),
  onlogout: () => {},

  login(token) {
    this.token = token;
    sessionStorage.setItem(tokenKey, token);
  },

  logout(why) {
    this.token = null;
    sessionStorage.removeItem(tokenKey);
    this.onlogout(why);
  },
};

// A Problem is what the server says is wrong: in whole, and field by field.
export class Problem extends Error {
  constructor({ title, detail, errors = [] }) {
    super(detail || title);
    this.fields = errors; // of { location, message }
  }
}

// api asks the server, and throws what it says is wrong.
export async function api(path, options = {}) {
  const headers = { Authorization: `Bearer ${session.token}`, ...options.headers };
  let response;
  try {
    response = await fetch(`api/${path}`, { ...options, headers });
  } catch (error) {
    throw options.signal?.aborted ? error : new Problem({ title: "The server cannot be reached." });
  }
  if (response.status === 401) {
    session.logout("This token is not known.");
  }
  if (!response.ok) {
    throw new Problem(await response.json().catch(() => ({ title: `The server answers ${response.status}.` })));
  }
  return response;
}

export const get = async (path) => (await api(path)).json();

// post sends a body, if there is one, and returns what comes back.
export async function post(path, body) {
  const json = { "Content-Type": "application/json" };
  return (await api(path, { method: "POST", ...(body && { headers: json, body: JSON.stringify(body) }) })).json();
}

export const remove = (path) => api(path, { method: "DELETE" });

// follow hands on server-sent events until their stream ends, which EventSource
// could not ask for: it cannot send the token. It returns whether any came, and the
// id of the last.
export async function follow(path, note, { last = "", signal, onopen = () => {} } = {}) {
  const response = await api(path, { signal, headers: last ? { "Last-Event-ID": last } : {} });
  if (response.status === 204) {
    return last;
  }
  onopen();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) {
      return last;
    }
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((l) => l.startsWith("data: "))) {
      const event = JSON.parse(line.slice("data: ".length));
      last = event.id;
      note(event);
    }
  }
}
