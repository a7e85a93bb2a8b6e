/** Tells each damage once on stderr, and that the command did not do all it was to do by exit code 1. */
export function damageTeller(): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (!told.has(message)) console.error(`shoal: ${message}`);
    told.add(message);
    process.exitCode = 1;
  };
}
