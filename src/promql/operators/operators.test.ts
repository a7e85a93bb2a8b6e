import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../engine.ts";
import { MemoryStorage } from "../testing/memory-storage.ts";
import { runScript, SCRIPT_ENGINE_OPTIONS } from "../testing/run-script.ts";

/** Operators on small data, written in the language of Prometheus's own test scripts. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "counted values": `
load 1m
  up{job="a", i="0", v="x"} 0 0 1
  up{job="a", i="1"} -0 0 NaN
  up{job="b", i="0"} 0 1 NaN
  up{job="b", i="1", v="1"} 1 1 0

eval range from 0 to 2m step 1m count_values by (job) ("v", up)
  {job="a", v="0"} 1 2 _
  {job="a", v="-0"} 1 _ _
  {job="a", v="1"} _ _ 1
  {job="a", v="NaN"} _ _ 1
  {job="b", v="0"} 1 _ 1
  {job="b", v="1"} 1 2 _
  {job="b", v="NaN"} _ _ 1

eval range from 0 to 2m step 1m count_values without (i) ("v", up)
  {job="a", v="0"} 1 2 _
  {job="a", v="-0"} 1 _ _
  {job="a", v="1"} _ _ 1
  {job="a", v="NaN"} _ _ 1
  {job="b", v="0"} 1 _ 1
  {job="b", v="1"} 1 2 _
  {job="b", v="NaN"} _ _ 1

eval range from 0 to 2m step 1m count_values without (i, v) ("v", up)
  {job="a"} 2 2 2
  {job="b"} 2 2 2

eval range from 0 to 2m step 1m count_values by (v) ("v", up{job="b"})
  {v="0"} 1 _ 1
  {v="1"} 1 2 _
  {v="NaN"} _ _ 1

eval instant at 2m count_values("v", up)
  {v="1"} 1
  {v="0"} 1
  {v="NaN"} 2

eval instant at 0 count_values("job", up{i="0"} or (up{i="1"} > bool 0))
  {job="0"} 3
  {job="1"} 1
`,
  aggregations: `
load 1m
  cpu{host="a", core="0"} 1 2 3
  cpu{host="a", core="1"} 3 4 _
  cpu{host="b", core="0"} 10 NaN 30
  cpu{host="b", core="1"} 20 40 stale

eval instant at 0 sum by (host) (cpu)
  {host="a"} 4
  {host="b"} 30

eval instant at 0 avg without (core) (cpu)
  {host="a"} 2
  {host="b"} 15

eval range from 0 to 2m step 1m count(cpu)
  {} 4 4 3

eval range from 0 to 2m step 1m avg by (host, core) (cpu)
  {host="a", core="0"} 1 2 3
  {host="a", core="1"} 3 4 4
  {host="b", core="0"} 10 NaN 30
  {host="b", core="1"} 20 40 _

eval range from 0 to 2m step 1m stddev by (host, core) (cpu)
  {host="a", core="0"} 0 0 0
  {host="a", core="1"} 0 0 0
  {host="b", core="0"} 0 NaN 0
  {host="b", core="1"} 0 0 _

eval instant at 1m max by (host) (cpu)
  {host="a"} 4
  {host="b"} 40

eval instant at 1m min(cpu)
  {} 2

eval instant at 0 group by (host) (cpu)
  {host="a"} 1
  {host="b"} 1

eval instant at 0 stdvar by (host) (cpu)
  {host="a"} 1
  {host="b"} 25

eval instant at 0 stddev(cpu{host="b"})
  {} 5

eval instant at 0 quantile(0.5, cpu)
  {} 6.5

eval instant at 0 quantile(2, cpu)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)
  {} +Inf

eval instant at 0 topk(2, cpu)
  expect ordered
  cpu{host="b", core="1"} 20
  cpu{host="b", core="0"} 10

eval instant at 0 bottomk by (host) (1, cpu)
  cpu{host="a", core="0"} 1
  cpu{host="b", core="0"} 10

eval instant at 1m topk(1, cpu{host="b"})
  cpu{host="b", core="1"} 40

eval range from 0 to 2m step 1m topk(scalar(vector(time() / 60)), cpu)
  cpu{host="b", core="0"} _ _ 30
  cpu{host="b", core="1"} _ 40 _
  cpu{host="a", core="1"} _ _ 4

eval instant at 0 topk(NaN, cpu)
  expect fail msg: Parameter value is NaN

eval instant at 0 count_values("value", cpu)
  {value="1"} 1
  {value="3"} 1
  {value="10"} 1
  {value="20"} 1

eval instant at 0 count_values without (core) ("value", cpu > bool 2)
  {host="a", value="0"} 1
  {host="a", value="1"} 1
  {host="b", value="1"} 2

eval instant at 0 limitk(1, cpu)
  cpu{host="a", core="0"} 1

eval instant at 0 count(limit_ratio(0.3, cpu) or limit_ratio(-0.7, cpu))
  {} 4
`,
  "binary operators of whole label sets": `
load 1m
  used{host="a", disk="0"} 1 2
  used{host="a", disk="1"} 3 _
  used{host="b", disk="0"} 5 6
  size{host="a", disk="0"} 10 10
  size{host="a", disk="1"} 20 stale
  size{host="c", disk="0"} 30 30
  up{Host="a"} 1 1
  up{host="a"} 2 2
  typed{__type__="counter", host="a"} 1 stale
  typed{__type__="gauge", host="a"} _ 2

eval range from 0 to 1m step 1m size - used
  {host="a", disk="0"} 9 8
  {host="a", disk="1"} 17 _

eval range from 0 to 1m step 1m sum by (host) (size - used) + sum by (host) (used - used)
  {host="a"} 26 8

eval instant at 0 sum by (__name__) (used + used)
  {} 18

eval instant at 0 label_replace(used - used, "was", "$1", "__name__", "(.*)")
  {host="a", disk="0"} 0
  {host="a", disk="1"} 0
  {host="b", disk="0"} 0

eval instant at 0 up + up
  {Host="a"} 2
  {host="a"} 4

eval range from 0 to 1m step 1m typed - typed
  {host="a"} 0 0

eval instant at 0 used == used
  used{host="a", disk="0"} 1
  used{host="a", disk="1"} 3
  used{host="b", disk="0"} 5
`,
  "binary operators": `
load 1m
  errors{job="a", code="500"} 1 2
  errors{job="a", code="404"} 4 8
  errors{job="b", code="500"} 5 _
  total{job="a"} 10 20
  total{job="b"} 50 100
  total{job="c"} 7 7

eval range from 0 to 1m step 1m errors / on (job) group_left total
  {job="a", code="500"} 0.1 0.1
  {job="a", code="404"} 0.4 0.4
  {job="b", code="500"} 0.1 0.05

eval instant at 0 total > 20
  total{job="b"} 50

eval instant at 0 20 < bool total
  {job="a"} 0
  {job="b"} 1
  {job="c"} 0

eval instant at 0 total % 4 ^ 2
  {job="a"} 10
  {job="b"} 2
  {job="c"} 7

eval instant at 0 errors{code="500"} * ignoring (code) total
  {job="a"} 10
  {job="b"} 250

eval instant at 0 total and on (job) errors
  total{job="a"} 10
  total{job="b"} 50

eval instant at 0 total unless on (job) errors
  total{job="c"} 7

eval instant at 0 (total > 20) or on (job) errors
  total{job="b"} 50
  errors{job="a", code="500"} 1
  errors{job="a", code="404"} 4

eval instant at 0 total + on (job) errors
  expect fail regex: found duplicate series for the match group \\{job="a"\\} on the right hand-side of the operation: .*many-to-many matching not allowed

eval instant at 0 errors + on (job) total
  expect fail msg: multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)

eval instant at 0 errors + on () group_left total{job="a"}
  {job="a", code="500"} 11
  {job="a", code="404"} 14
  {job="b", code="500"} 15

eval instant at 0 total{job="c"} + on (job) fill_right (1) errors{code="500"}
  {job="c"} 8

eval instant at 0 errors{code="404"} + on (job) group_left fill_left (1) fill_right (2) total
  {job="a", code="404"} 14
  {job="b"} 51
  {job="c"} 8

eval instant at 0 total + on (job) group_right fill_left (1) errors{code="404"}
  {job="a", code="404"} 14
  {job="b"} 51
  {job="c"} 8

eval instant at 0 total{job="c"} + on (job) group_right fill_right (2) errors
  {job="a", code="500"} 3
  {job="a", code="404"} 6
  {job="b", code="500"} 7

eval instant at 0 -total{job="a"}
  {job="a"} -10

eval instant at 0 1 == bool 1
  1

eval instant at 0 total </ 5
  expect info msg: PromQL info: incompatible sample types encountered for binary operator "</": float </ float (1:1)
`,
  functions: `
load 1m
  x{i="1", dst="old"} -1.5 2.5 NaN
  x{i="2", dst="old"} 4 5 6

eval instant at 0 abs(x)
  {i="1", dst="old"} 1.5
  {i="2", dst="old"} 4

eval instant at 0 clamp(x, 0, 3)
  {i="1", dst="old"} 0
  {i="2", dst="old"} 3

eval instant at 0 clamp(x, 3, 0)

eval instant at 1m round(x, 0.2)
  {i="1", dst="old"} 2.6
  {i="2", dst="old"} 5

eval instant at 0 label_replace(x, "dst", "n$1", "i", "(.)")
  x{i="1", dst="n1"} -1.5
  x{i="2", dst="n2"} 4

eval instant at 0 label_replace(x, "i", "same", "i", ".*")
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 0 label_replace(x, "dst", "", "i", "(")
  expect fail msg: invalid regular expression in label_replace(): (

eval instant at 0 label_join(x, "both", "/", "dst", "i")
  x{i="1", dst="old", both="old/1"} -1.5
  x{i="2", dst="old", both="old/2"} 4

eval instant at 2m sort_desc(x)
  expect ordered
  x{i="2", dst="old"} 6
  x{i="1", dst="old"} NaN

eval instant at 0 sort(x)
  expect ordered
  x{i="1", dst="old"} -1.5
  x{i="2", dst="old"} 4

eval range from 0 to 1m step 1m sort(x)
  expect warn msg: PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:1)
  x{i="1", dst="old"} -1.5 2.5
  x{i="2", dst="old"} 4 5

eval instant at 0 scalar(x{i="2"})
  4

eval instant at 0 scalar(x)
  NaN

eval instant at 0 absent(y{a="1", b=~"2"})
  {a="1"} 1

eval instant at 90s timestamp(x{i="2"})
  {i="2", dst="old"} 60

eval instant at 90s timestamp(x{i="2"} + 0)
  {i="2", dst="old"} 90

eval instant at 2m rate(x{i="2"}[3m])
  expect info msg: PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "x" (1:6)
  {i="2", dst="old"} 0.016666666666666666

eval range from 0 to 2m step 1m sum_over_time(x{i="2"}[2m:1m])
  {i="2", dst="old"} 4 9 11

eval range from 0 to 2m step 1m x{i="2"} @ 60
  x{i="2", dst="old"} 5 5 5

eval instant at 0 vector(3) + time()
  {} 3
`,
  "histograms and information": `
load 1m
  h_bucket{le="1", job="a", instance="i"} 1
  h_bucket{le="2", job="a", instance="i"} 3
  h_bucket{le="+Inf", job="a", instance="i"} 4
  target_info{job="a", instance="i", version="2"} 1
  bad_bucket{le="x"} 1
  native_info{job="a", instance="i"} {{schema:0 count:1 sum:1 buckets:[1]}}

eval instant at 0 histogram_quantile(0.5, h_bucket)
  {job="a", instance="i"} 1.5

eval instant at 0 histogram_quantiles(h_bucket, "q", 0.25, 0.5)
  {job="a", instance="i", q="0.25"} 1
  {job="a", instance="i", q="0.5"} 1.5

eval instant at 0 histogram_quantiles(h_bucket, "q", 0, 1)
  {job="a", instance="i", q="0.0"} 0
  {job="a", instance="i", q="1.0"} 2

eval instant at 0 histogram_fraction(1, 2, h_bucket)
  {job="a", instance="i"} 0.5

eval instant at 0 histogram_quantile(0.5, bad_bucket)
  expect warn msg: PromQL warning: bucket label "le" is missing or has a malformed value of "x" for metric name "bad_bucket" (1:25)

eval instant at 0 info(h_bucket{le="1"})
  h_bucket{le="1", job="a", instance="i", version="2"} 1

eval instant at 0 info(h_bucket{le="1"}, {version="3"})

eval instant at 0 info(h_bucket{le="1"}, {__name__="native_info"})
  expect fail msg: this should be an info metric, with float samples: {__name__="native_info", instance="i", job="a"}
`,
  "signs and positions": `
load 1m
  temp{a="1"} 1
  temp{a="2"} 2
  temp{b="1"} 3
  native {{schema:0 count:3 sum:4 buckets:[1 2]}}

eval instant at 0 max(+native)
  expect info msg: PromQL info: ignored histogram in max aggregation (1:5)

eval instant at 0 max(+(native or native))
  expect info msg: PromQL info: ignored histogram in max aggregation (1:5)

eval instant at 0 histogram_quantile(+2, +native)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)
  {} Inf

eval range from 0 to 1m step 1m +sort(temp{a="1"})
  expect warn msg: PromQL warning: sort is ineffective for range queries since results are always ordered by labels (1:2)
  temp{a="1"} 1 1

eval instant at 0 temp + on (b) temp
  expect fail msg: found duplicate series for the match group {} on the right hand-side of the operation: [{__name__="temp", a="1"}, {__name__="temp", a="2"}];many-to-many matching not allowed: matching labels must be unique on one side

eval instant at 0 max_over_time(temp[min_of(-5m, step())])
  expect fail msg: 26:37: duration must be greater than 0

eval instant at 0 max_over_time(temp[(step() - 2 * (step()))])
  expect fail msg: 20:40: duration must be greater than 0
`,
};

for (const [name, script] of Object.entries(SCRIPTS))
  test(name, async () => {
    const outcomes = await runScript(script, name, {
      engine: new Engine(SCRIPT_ENGINE_OPTIONS),
      openStorage: () => new MemoryStorage(),
    });
    const wrong = outcomes.flatMap(({ line, text, failure }) =>
      failure === undefined ? [] : [`${name}:${line}: ${text}\n  ${failure.join("\n  ")}`],
    );
    assert.equal(wrong.length, 0, wrong.join("\n"));
    assert.ok(outcomes.length >= 6);
  });
