#!/usr/bin/env perl

# conf/prometheus and conf/grafana: checked, tested, of families that there
# are; and Prometheus itself, which scrapes both formats.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use POSIX ();
use Test::More;
use Helix;

chdir "$FindBin::Bin/.." or die;

my $t = Helix->new;
my $dir = $t->dir;

my $promtool = program('promtool');
my $prometheus = program('prometheus');

$t->conf(<<'END');
%%TEST_GLOBALS%%

worker_processes 2;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /jobs  { helix_pass; helix_job strategy=$arg_s; }
        location /helix { helix_status; }

        # Prometheus asks for OpenMetrics: here it gets the other format

        location = /text {
            proxy_pass http://127.0.0.1:%%PORT_0%%/helix/metrics;
            proxy_set_header Accept "text/plain;version=0.0.4";
        }
    }
}
END

$t->start;


# what queries and rules may name

my $metrics = $t->get('/helix/metrics')->body;
my %family;

while ($metrics =~ /^# TYPE (\w+) (\w+)/mg) {
    $family{$_} = 1 for $2 eq 'histogram'
                        ? map { "$1$_" } qw(_bucket _sum _count) : $1;
}

my $rules = slurp('conf/prometheus/helix.rules.yml');
my $scrape = slurp('conf/prometheus/scrape.yml');
my $doc = slurp('docs/metrics.md');

my %record = map { $_ => 1 } $rules =~ /record: (\S+)/g;
my @exprs = expressions($rules);

cmp_ok(scalar keys %record, '>=', 25, 'rules are found');
is(scalar @exprs, () = $rules =~ /^ +- (?:record|alert):/mg,
   'each has an expression');

for my $expr (@exprs) {
    is(join(' ', unknown($expr)), '', "rules: $expr");
}

is(join(' ', grep { $rules !~ /record: $_\n/ } qw(
       helix_completed helix_dropped helix_routed helix_latency_p50_ms
       helix_latency_p95_ms helix_latency_p99_ms helix_latency_min_ms
       helix_latency_max_ms helix_latency_ema_ms helix_neural_sample_count
       helix_neural_avg_reward helix_neural_epsilon helix_neural_is_warmed_up
       helix_batch_enqueued helix_batch_flushed helix_blocking_panics_total
       helix_cpu_queue_depth helix_adaptive_decay_total helix_batch_miss_total
       helix_deadline_exceeded_total helix_sla_violations_total
       helix_kind_routed_total)), '', 'all that HelixRouter has');

my @alerts = split /^      - alert: /m, $rules;
shift @alerts;

is(scalar @alerts, 6, 'six alerts');

for (@alerts) {
    my ($name) = /^(\w+)/;

    like($_, qr/^ +severity: (?:info|warning|critical)$/m, "$name: severity");
    like($_, qr/^ +summary: .*\S/m, "$name: what is wrong");
    like($_, qr/^ +description: >-\n +\S/m, "$name: what to do");
    ok($doc =~ /`$name`/, "$name is documented");
}

ok($doc =~ /`$_`/, "$_ is documented") for sort keys %record;

is(join(' ', unknown($_)), '', 'query of metrics.md') for queries($doc);


# the dashboard

my $dashboard = JSON::PP->new->decode(slurp('conf/grafana/helix.json'));
my @panels = @{$dashboard->{panels}};
my @targets = map { @{$_->{targets} || []} } @panels;

is_deeply([map { $_->{name} } @{$dashboard->{templating}{list}}],
          [qw(datasource zone instance)], 'variables');
is_deeply([map { $_->{title} =~ s/ \(.*//r } grep { $_->{type} eq 'row' }
                                                  @panels],
          ['Verdict', 'Lanes', 'Pressure', 'Latency', 'Cost model'], 'rows');
ok((grep { $_->{type} eq 'heatmap' } @panels), 'a heatmap');
is(keys %{{ map { $_->{id} => 1 } @panels }}, @panels, 'each has its own id');
is(join(' ', map { $_->{title} } grep { $_->{type} ne 'row'
                                        && !$_->{description} } @panels), '',
   'each says what it shows');
cmp_ok(scalar @targets, '>=', 40, 'queries are found');

for my $target (@targets) {
    is(join(' ', unknown($target->{expr})), '', "panel: $target->{expr}");
    is(() = $target->{expr} =~ /\bhelix_\w+/g,
       () = $target->{expr} =~ /zone="\$zone",instance=~"\$instance"/g,
       'of the chosen zone and instances');
}


# checked by Prometheus' own tool

SKIP: {
    skip 'no promtool', 1 if !$promtool;

    my @queries = map { $_->{expr} =~ s/\$__rate_interval/5m/gr } @targets;
    my $n = 0;

    $t->write('queries.yml', "groups:\n- name: queries\n  rules:\n"
              . join '', map { "  - record: query:" . ++$n . "\n    expr: |\n"
                               . s/^/      /mgr . "\n" } @queries);

    for ('check rules conf/prometheus/helix.rules.yml',
         'check config conf/prometheus/scrape.yml',
         "check rules $dir/queries.yml", 'test rules t/rules.yml')
    {
        my $out = `$promtool $_ 2>&1`;

        is($?, 0, "promtool $_") or diag($out);
    }

    $t->write('metrics', $metrics);

    my $out = `$promtool check metrics < $dir/metrics 2>&1`;

    is("$?$out", '0', 'promtool check metrics');
}


# Prometheus

SKIP: {
    skip 'no prometheus', 1 if !$prometheus;
    skip 'it is slow enough without', 1
        if ($ENV{TEST_NGINX_MODULE} // '-') eq '' || $ENV{TEST_WRAP};

    my $port = $t->port(1);
    my $trace = '4bf92f3577b34da6a3ce929d0e0e4736';

    $t->get("/jobs?s=$_&kind=hashmix&cost=1000")
        for qw(inline spawn cpu_pool batch drop);

    my $target = '127.0.0.1:' . $t->port(0);

    (my $config = $scrape) =~ s/_interval: \K15s/1s/g;
    $config =~ s/127\.0\.0\.1:8080/$target/;
    $config .= <<"END";
  - job_name: text
    metrics_path: /text
    static_configs:
      - targets: ["$target"]
END

    $t->write('prometheus.yml', $config);
    $t->write('helix.rules.yml', $rules =~ s/\[5m\]/[10s]/gr);

    my $pid = run($prometheus, "--config.file=$dir/prometheus.yml",
                  "--storage.tsdb.path=$dir/tsdb",
                  "--web.listen-address=127.0.0.1:$port",
                  '--enable-feature=exemplar-storage,native-histograms');

    my $up = $t->wait_for(sub {
        $t->get("/jobs?s=inline&kind=hashmix&cost=1000&id=42", traceparent =>
                "00-$trace-00f067aa0ba902b7-01");

        my %up = map { $_->{metric}{job} => $_->{value}[1] } query('up');

        return ($up{helix} // 0) == 1 && ($up{text} // 0) == 1;
    }, 'up to be 1', 30);

    ok($up, 'both formats are up') or diag($t->read('logs/prometheus.out'));

    my %scraped = map { $_->{metric}{job} => $_->{value}[1] }
                  query('scrape_samples_scraped');
    my $lines = () = $t->get('/helix/metrics')->body =~ /^helix_/mg;

    is($scraped{helix}, $lines, 'OpenMetrics: all series');
    is($scraped{text}, $lines, 'the text format: all series');

    my @differ = query('count by (__name__) ({job="helix",__name__=~"helix_.+'
                       . '"}) != ignoring(job) count by (__name__) '
                       . '({job="text",__name__=~"helix_.+"})');

    is(scalar @differ, 0, 'the same names in both');

    my $now = time;
    my $exemplars = $t->wait_for(sub {
        my $data = api('query_exemplars?query=helix_job_duration_seconds_bucket'
                       . '&start=' . ($now - 3600) . '&end=' . ($now + 3600));

        return $data && @$data && $data;
    }, 'an example', 20);

    is_deeply($exemplars && $exemplars->[0]{exemplars}[0]{labels},
              { trace_id => $trace, job => 42 }, 'the example');

    my @rules;

    $t->wait_for(sub {
        my $data = api('rules') or return;

        @rules = map { @{$_->{rules}} } @{$data->{groups}};

        return @rules && !grep { $_->{health} eq 'unknown' } @rules;
    }, 'rules to be evaluated', 20);

    is(scalar @rules, @exprs, 'all rules are there');
    is(join(', ', map { "$_->{name}: $_->{lastError}" }
                  grep { $_->{health} ne 'ok' } @rules), '',
       'they evaluate');

    for my $name (sort grep { !/^helix:/ } keys %record) {
        ok($t->wait_for(sub { scalar query($name) }, $name, 20),
           "$name is recorded");
    }

    kill 'TERM', $pid;
    $t->wait_for(sub { waitpid($pid, POSIX::WNOHANG()) == $pid },
                 'prometheus to end') or kill 9, $pid;


    sub api {
        my ($path) = @_;

        my $r = eval {
            $t->raw(Helix::message('GET', "/api/v1/$path", undef,
                                   Connection => 'close'), port => 1);
        };

        return $r && $r->status && $r->status == 200 ? $r->json->{data}
                                                      : undef;
    }


    sub query {
        my ($query) = @_;

        $query =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ge;

        my $data = api("query?query=$query") or return;

        return @{$data->{result}};
    }
}


sub program { (grep { -x } map { "$_/$_[0]" } split /:/, $ENV{PATH})[0] }


sub slurp {
    my ($name) = @_;

    open my $fh, '<', $name or die "$name: $!";
    local $/;

    return scalar <$fh>;
}


# In the background; it does not outlive this test.

my $child;

sub run {
    my (@command) = @_;

    $child = fork // die "fork: $!";

    if ($child == 0) {
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP PIPE);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', "$dir/logs/prometheus.out";
        open STDERR, '>&', \*STDOUT;
        exec @command or POSIX::_exit(127);
    }

    return $child;
}

END {
    my $status = $?;

    if ($child) {
        kill 9, $child if waitpid($child, POSIX::WNOHANG()) == 0;
        waitpid $child, 0;
    }

    $? = $status;
}


# The expressions of rules, folded ones in one line.

sub expressions {
    my ($text) = @_;

    my @exprs;

    while ($text =~ /^( +)expr: (?:>\n((?:\1 +\S.*\n)+)|(.*)\n)/mg) {
        push @exprs, ($2 // $3) =~ s/\s+/ /gr =~ s/^ | $//gr;
    }

    return @exprs;
}


sub queries { $_[0] =~ /^```promql\n(.*?)^```/msg }


# Names that are neither families nor records.

sub unknown {
    my ($expr) = @_;

    $expr =~ s/"[^"]*"//g;

    return grep { !$family{$_} && !$record{$_} }
                $expr =~ /\b(helix[_:][\w:]*)/g;
}
