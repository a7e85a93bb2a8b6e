import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Replaces `path` by `text` so that a crash or a power cut leaves the old or the new text, never a mixture: written
 * aside, forced to disk, renamed, and the rename forced to disk. By default readable by the owner alone: it may hold secrets.
 */
export async function writeFileAtomic(path: string, text: string, mode = 0o600): Promise<void> {
  const draft = `${path}.tmp`;
  const file = await open(draft, "w", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(dirname(path), "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
