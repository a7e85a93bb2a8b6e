import {
  ActionIcon,
  Box,
  Container,
  Group,
  Text,
  Tooltip,
  useMantineColorScheme,
} from "@mantine/core";
import {
  IconBroadcast,
  IconChartLine,
  IconFish,
  IconMoon,
  IconServer2,
  IconSun,
  IconSunMoon,
} from "@tabler/icons-react";
import type { MouseEvent } from "react";
import { ErrorBoundary } from "./error-boundary.tsx";
import { QueryPage } from "./query/query-page.tsx";
import { ShardsPage } from "./shards/shards-page.tsx";
import { TargetsPage } from "./targets/targets-page.tsx";
import { navigate, usePath } from "./url-state.ts";

const PAGES = [
  { path: "/query", title: "Query", icon: IconChartLine, page: QueryPage },
  { path: "/targets", title: "Targets", icon: IconBroadcast, page: TargetsPage },
  { path: "/shards", title: "Shards", icon: IconServer2, page: ShardsPage },
] as const;

export function App() {
  const path = usePath();
  const current = PAGES.find((page) => path === page.path) ?? PAGES[0];
  const Page = current.page;
  return (
    <>
      <Box
        component="header"
        style={{ borderBottom: "1px solid var(--mantine-color-default-border)" }}
      >
        <Container size="var(--shoal-page-width)" px="md">
          <Group h={52} gap={6} wrap="nowrap" justify="space-between">
            <Group gap={6} wrap="nowrap">
              <Group gap={6} wrap="nowrap" visibleFrom="xs" mr="sm">
                <IconFish size={26} color="var(--mantine-primary-color-filled)" aria-hidden />
                <Text fw={700}>Shoal</Text>
              </Group>
              <Group component="nav" gap={2} wrap="nowrap" aria-label="Pages">
                {PAGES.map(({ path: target, title, icon: Icon }) => (
                  <a
                    key={target}
                    className="nav-link"
                    href={target}
                    aria-current={target === current.path ? "page" : undefined}
                    onClick={(event) => follow(event, target)}
                  >
                    <Icon size={17} aria-hidden />
                    {title}
                  </a>
                ))}
              </Group>
            </Group>
            <SchemeSwitch />
          </Group>
        </Container>
      </Box>
      <Container component="main" size="var(--shoal-page-width)" px="md" py="md">
        <ErrorBoundary
          title="This page broke"
          advice="Reload it; if it breaks again, please report it with this address."
          subject={current.path}
        >
          <Page />
        </ErrorBoundary>
      </Container>
    </>
  );
}

/** Stays in the page on a plain click; a click with a modifier opens a tab as the browser does. */
function follow(event: MouseEvent, path: string): void {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  navigate(path);
}

const SCHEMES = {
  auto: { next: "light", icon: IconSunMoon },
  light: { next: "dark", icon: IconSun },
  dark: { next: "auto", icon: IconMoon },
} as const;

function SchemeSwitch() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { next, icon: Icon } = SCHEMES[colorScheme];
  return (
    <Tooltip label={`Colours: ${colorScheme} (click for ${next})`}>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        aria-label={`Colour scheme is ${colorScheme}; switch to ${next}`}
        onClick={() => setColorScheme(next)}
      >
        <Icon size={19} />
      </ActionIcon>
    </Tooltip>
  );
}
