// What is remembered: the blocks of the call's agent and user, and what the last change made of them.

// The blocks as they were last shown, label -> block, and of which agent and user. They outlast a call: a change between
// two calls is shown at the beginning of the second.
const known = { of: "", blocks: new Map() };

async function recall(change) {
  const own = call;
  const asked = (own.recalls = (own.recalls ?? 0) + 1);
  const { agent, user } = own.pair;
  const query = user ? `?${new URLSearchParams({ user })}` : "";
  const headers = own.token ? { Authorization: `Bearer ${own.token}` } : {};
  let blocks = null, told = change;
  try {
    const reply = await fetch(`/v1/agents/${encodeURIComponent(agent)}/blocks${query}`, { headers });
    if (reply.ok) blocks = (await reply.json()).items;
    else if (reply.status === 403) told = "not shown: a client token can't read it";
  } catch { /* the next change asks again */ }
  if (own.recalls !== asked || (call && call !== own)) return; // a later answer holds
  $("memory-state").textContent = told;
  $("memory-state").className = change ? "changed" : "";
  if (blocks) showBlocks(JSON.stringify(own.pair), blocks);
}

function showBlocks(of, blocks) {
  const before = known.of === of ? known.blocks : new Map();
  known.of = of;
  known.blocks = new Map(blocks.map((block) => [block.label, block]));
  $("blocks").replaceChildren(...blocks.map((block) => blockNode(block, before.get(block.label))));
}

function blockNode(block, before) {
  const node = document.createElement("section");
  node.className = "block";
  node.title = block.description;
  const head = add(node, "h2", "", block.label);
  add(head, "span", "", block.read_only ? "read-only" : `${chars(block.value)} of ${block.limit}`);
  const value = add(node, "p", "value", "");
  for (const [tag, text] of difference(before ? before.value : block.value, block.value)) {
    const words = text.trimStart(); // the mark begins at a word
    value.append(text.slice(0, text.length - words.length));
    if (tag) add(value, tag, "", words); else value.append(words);
  }
  if (block.version) {
    const at = new Date(block.at).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
    add(node, "p", "origin", `version ${block.version} by ${block.author.split(":")[0]}, ${at}`);
  }
  return node;
}

// What makes `after` of `before`, word by word: [tag, text] with tag "", "ins" or "del".
function difference(before, after) {
  const words = (text) => text.match(/\s*\S+|\s+$/g) ?? [];
  let a = words(before), b = words(after), head = 0, tail = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++;
  const start = b.slice(0, head), rest = b.slice(b.length - tail);
  a = a.slice(head, a.length - tail);
  b = b.slice(head, b.length - tail);
  const steps = [["", start.join("")], ...middle(a, b), ["", rest.join("")]];
  const joined = [];
  for (const [tag, text] of steps) {
    if (!text) continue;
    if (joined.at(-1)?.[0] === tag) joined.at(-1)[1] += text;
    else joined.push([tag, text]);
  }
  return joined;
}

function middle(a, b) {
  // The table grows with the product of both lengths: a long text that was rewritten is shown as just that.
  if (a.length * b.length > 1e6) return [["del", a.join("")], ["ins", b.join("")]];
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const steps = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { steps.push(["", b[j++]]); i++; }
    else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) steps.push(["del", a[i++]]);
    else steps.push(["ins", b[j++]]);
  }
  return steps;
}

// Beside the talk there is room for it; above the talk it waits until it is opened.
const wide = matchMedia("(min-width: 64rem)");
const fold = () => { $("memory").open = wide.matches; };
wide.addEventListener("change", fold);
fold();
