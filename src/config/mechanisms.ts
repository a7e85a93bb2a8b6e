import { azure, digitalocean, gce, hetzner, ionos, lightsail, linode } from "./cloud-a-l.ts";
import {
  oci,
  openstack,
  outscale,
  ovhcloud,
  scaleway,
  stackit,
  triton,
  vultr,
} from "./cloud-o-v.ts";
import { eureka, kuma, marathon, nerve, nomad, serverset, uyuni } from "./registries.ts";
import { docker, dockerswarm, puppetdb } from "./hosts.ts";
import type { Kind } from "./kind.ts";

/**
 * The discovery mechanisms that are read and checked here but not run: the key before `_sd_configs` and its
 * schema. Those that are run stand in `discovery.ts`.
 */
export const MECHANISMS: Readonly<Record<string, Kind<unknown>>> = {
  azure,
  digitalocean,
  docker,
  dockerswarm,
  eureka,
  gce,
  hetzner,
  ionos,
  kuma,
  lightsail,
  linode,
  marathon,
  nerve,
  nomad,
  oci,
  openstack,
  outscale,
  ovhcloud,
  puppetdb,
  scaleway,
  serverset,
  stackit,
  triton,
  uyuni,
  vultr,
};
