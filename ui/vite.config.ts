import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` shows the page with live reload against a running `shoal up`.
const server = process.env["SHOAL_URL"] ?? "http://127.0.0.1:9090";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Those that know light-dark(): rewritten for older ones it would wait for variables that Mantine does not set.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    sourcemap: false,
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": server, "/federate": server } },
});
