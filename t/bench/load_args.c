
/* The command line. */

#include <arpa/inet.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "load_run.h"


static void load_args_option(load_options_t *options, int option,
    char *value);
static void load_args_run(load_options_t *options, int option, char *value,
    size_t len);
static void load_args_flags(load_options_t *options, int option);
static void load_args_url(load_options_t *options, const char *url);
static void load_args_check(load_options_t *options);


static const char  load_help[] =
"usage: load --url http://127.0.0.1:PORT/PATH --class NAME,... [options]\n"
"\n"
"An open-loop load generator for jobs: every request's time, class and cost\n"
"are fixed in advance from a seed, latency counts from the scheduled time.\n"
"\n"
"  --url URL            loopback only\n"
"  --class NAME,query=Q[,weight=W][,budget=5ms][,cost=C][,method=POST]\n"
"                [,path=/P]\n"
"                       up to 16 times; Q such as kind=hashmix&inputs=1,2;\n"
"                       C is N, uniform:A:B or lognormal:MU:SIGMA (of the\n"
"                       natural logarithm); id, compute_cost and\n"
"                       latency_budget_ms are added\n"
"  --canary /PATH[,rate=50]\n"
"                       a plain GET beside, reported apart\n"
"  --rate N             requests a second, 100 if not given\n"
"  --schedule S         poisson (if not given), constant, ramp:FROM:TO,\n"
"                       square:LOW:HIGH:PERIOD, phases:FxTIME,FxTIME,...,\n"
"                       onoff:ON:OFF[:LOW]; F, FROM, TO, LOW and HIGH are\n"
"                       factors of --rate; of onoff --rate is the mean, ON\n"
"                       and OFF are mean times, LOW the rate in OFF as a\n"
"                       share of that in ON\n"
"  --closed N           no schedule: N clients that wait for their answer, to\n"
"                       measure a capacity\n"
"  --duration T         measured time, 10s if not given\n"
"  --warmup T           before it, not counted, 0s if not given\n"
"  --seed N             1 if not given\n"
"  --abort share=S,after=T[,by=fin|rst]\n"
"                       this share of requests is left, T after it was sent\n"
"  --retry obey|at-once|never[,tries=N]\n"
"                       of what was rejected, 3 tries in all if not given; a\n"
"                       retry counts from the first scheduled time\n"
"  --timeout T          for an answer, 10s if not given\n"
"  --max-connections N  4096 if not given\n"
"  --no-echo            answers have no id: a peer that is not helix\n"
"  --cpu N              run on this CPU\n"
"  --nice N             -20 to 19; on a machine that others use, and as root,\n"
"                       \"chrt -f 1 load ...\" is late less often\n"
"  --interval T         of the series in the JSON, 1s if not given\n"
"  --json FILE          everything, \"-\" for the standard output, which then\n"
"                       has no table\n"
"  --print-schedule     prints the schedule and sends nothing\n"
"  --quiet              no progress\n"
"\n"
"Times are 100us, 5ms, 2s, 1m.  The run ends by itself, at the latest\n"
"--timeout after --duration; SIGINT ends it and prints what there is.  It is\n"
"void if the generator was late (p99 above 1 ms), used more than 70 % of a\n"
"core or could not send all.  Exit codes: 0, 1 for a failure, 2 for wrong\n"
"arguments, 3 for a void run.\n";


enum {
    LOAD_OPT_URL = 256, LOAD_OPT_CLASS, LOAD_OPT_CANARY, LOAD_OPT_RATE,
    LOAD_OPT_SCHEDULE, LOAD_OPT_CLOSED, LOAD_OPT_DURATION, LOAD_OPT_WARMUP,
    LOAD_OPT_SEED, LOAD_OPT_ABORT, LOAD_OPT_RETRY, LOAD_OPT_TIMEOUT,
    LOAD_OPT_MAX, LOAD_OPT_ECHO, LOAD_OPT_CPU, LOAD_OPT_NICE,
    LOAD_OPT_INTERVAL, LOAD_OPT_JSON, LOAD_OPT_PRINT, LOAD_OPT_QUIET,
    LOAD_OPT_HELP
};


static const struct option  load_long_options[] = {
    { "url", required_argument, NULL, LOAD_OPT_URL },
    { "class", required_argument, NULL, LOAD_OPT_CLASS },
    { "canary", required_argument, NULL, LOAD_OPT_CANARY },
    { "rate", required_argument, NULL, LOAD_OPT_RATE },
    { "schedule", required_argument, NULL, LOAD_OPT_SCHEDULE },
    { "closed", required_argument, NULL, LOAD_OPT_CLOSED },
    { "duration", required_argument, NULL, LOAD_OPT_DURATION },
    { "warmup", required_argument, NULL, LOAD_OPT_WARMUP },
    { "seed", required_argument, NULL, LOAD_OPT_SEED },
    { "abort", required_argument, NULL, LOAD_OPT_ABORT },
    { "retry", required_argument, NULL, LOAD_OPT_RETRY },
    { "timeout", required_argument, NULL, LOAD_OPT_TIMEOUT },
    { "max-connections", required_argument, NULL, LOAD_OPT_MAX },
    { "no-echo", no_argument, NULL, LOAD_OPT_ECHO },
    { "cpu", required_argument, NULL, LOAD_OPT_CPU },
    { "nice", required_argument, NULL, LOAD_OPT_NICE },
    { "interval", required_argument, NULL, LOAD_OPT_INTERVAL },
    { "json", required_argument, NULL, LOAD_OPT_JSON },
    { "print-schedule", no_argument, NULL, LOAD_OPT_PRINT },
    { "quiet", no_argument, NULL, LOAD_OPT_QUIET },
    { "help", no_argument, NULL, LOAD_OPT_HELP },
    { NULL, 0, NULL, 0 }
};


void
load_usage(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "load: ");

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fprintf(stderr, "; see --help\n");

    exit(LOAD_USAGE);
}


double
load_number(const char *option, const char *text, size_t len, double min,
    double max)
{
    double  value;

    if (helix_number_double(text, len, &value) != HELIX_NUMBER_OK) {
        load_usage("\"%s\" is a number, not \"%.*s\"", option, (int) len,
                   text);
    }

    if (!(value >= min && value <= max)) {
        load_usage("\"%s\" is from %.15g to %.15g, not \"%.*s\"", option, min,
                   max, (int) len, text);
    }

    return value;
}


uint64_t
load_time(const char *option, const char *text, size_t len)
{
    size_t    i, n;
    double    value;

    static const struct {
        const char  *name;
        double       ns;
    } units[] = { { "us", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 } };

    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        n = strlen(units[i].name);

        if (len > n && strncmp(text + len - n, units[i].name, n) == 0
            && helix_number_double(text, len - n, &value) == HELIX_NUMBER_OK
            && value >= 0 && value * units[i].ns <= 86400e9)
        {
            return (uint64_t) (value * units[i].ns + 0.5);
        }
    }

    load_usage("\"%s\" is a time such as 5ms, not \"%.*s\"", option,
               (int) len, text);
}


void
load_args(load_options_t *options, int argc, char **argv)
{
    int  option;

    memset(options, 0, sizeof(load_options_t));

    options->rate = 100;
    options->schedule = "poisson";
    options->seed = 1;
    options->duration = 10 * LOAD_SECOND;
    options->timeout = 10 * LOAD_SECOND;
    options->interval = LOAD_SECOND;
    options->max_connections = 4096;
    options->tries = 3;
    options->cpu = -1;
    options->echo = true;

    opterr = 0;

    for ( ;; ) {
        option = getopt_long(argc, argv, ":", load_long_options, NULL);

        if (option == -1) {
            break;
        }

        if (option == ':') {
            load_usage("\"%s\" needs a value", argv[optind - 1]);
        }

        if (option == '?') {
            load_usage("unknown option \"%s\"", argv[optind - 1]);
        }

        load_args_option(options, option, optarg);
    }

    if (optind < argc) {
        load_usage("unknown argument \"%s\"", argv[optind]);
    }

    load_args_check(options);
    load_class_finish(options);
}


static void
load_args_option(load_options_t *options, int option, char *value)
{
    size_t  len;

    len = value ? strlen(value) : 0;

    switch (option) {

    case LOAD_OPT_URL:
        load_args_url(options, value);
        break;

    case LOAD_OPT_CLASS:
        load_class_add(options, value);
        break;

    case LOAD_OPT_CANARY:
        load_class_canary(options, value);
        break;

    case LOAD_OPT_RATE:
        options->rate = load_number("--rate", value, len, 0.01, 1e7);
        break;

    case LOAD_OPT_SCHEDULE:
        load_class_schedule(options, value);
        break;

    case LOAD_OPT_CLOSED:
        options->closed = (uint64_t) load_number("--closed", value, len, 1,
                                                 65536);
        break;

    case LOAD_OPT_SEED:
        if (helix_number_u64(value, len, &options->seed) != HELIX_NUMBER_OK) {
            load_usage("\"--seed\" is an unsigned integer, not \"%s\"",
                       value);
        }

        break;

    case LOAD_OPT_ABORT:
        load_class_abort(options, value);
        break;

    case LOAD_OPT_RETRY:
        load_class_retry(options, value);
        break;

    default:
        load_args_run(options, option, value, len);
    }
}


/* How it runs, rather than what it sends. */

static void
load_args_run(load_options_t *options, int option, char *value, size_t len)
{
    switch (option) {

    case LOAD_OPT_DURATION:
        options->duration = load_time("--duration", value, len);
        break;

    case LOAD_OPT_WARMUP:
        options->warmup = load_time("--warmup", value, len);
        break;

    case LOAD_OPT_TIMEOUT:
        options->timeout = load_time("--timeout", value, len);
        break;

    case LOAD_OPT_MAX:
        options->max_connections =
            (uint64_t) load_number("--max-connections", value, len, 1, 65536);
        break;

    case LOAD_OPT_CPU:
        options->cpu = (int) load_number("--cpu", value, len, 0, 1023);
        break;

    case LOAD_OPT_NICE:
        options->nice = (int) load_number("--nice", value, len, -20, 19);
        break;

    case LOAD_OPT_INTERVAL:
        options->interval = load_time("--interval", value, len);
        break;

    case LOAD_OPT_JSON:
        options->json = value;
        break;

    default:
        load_args_flags(options, option);
    }
}


static void
load_args_flags(load_options_t *options, int option)
{
    switch (option) {

    case LOAD_OPT_ECHO:
        options->echo = false;
        break;

    case LOAD_OPT_PRINT:
        options->print = true;
        break;

    case LOAD_OPT_QUIET:
        options->quiet = true;
        break;

    default: /* LOAD_OPT_HELP */
        fputs(load_help, stdout);
        exit(LOAD_OK);
    }
}


static void
load_args_url(load_options_t *options, const char *url)
{
    char         host[sizeof(options->host)], *colon;
    size_t       len;
    uint64_t     port;
    const char  *p, *slash;

    options->url = url;

    if (strncmp(url, "http://", 7) != 0) {
        load_usage("\"--url\" begins with \"http://\", not \"%s\"", url);
    }

    p = url + 7;
    slash = strchr(p, '/');
    len = slash ? (size_t) (slash - p) : strlen(p);

    if (len >= sizeof(host)
        || (slash && strlen(slash) >= sizeof(options->path))
        || strpbrk(url, "?# \r\n"))
    {
        load_usage("\"--url\" is http://127.0.0.1:PORT/PATH, not \"%s\"",
                   url);
    }

    memcpy(host, p, len);
    host[len] = '\0';

    snprintf(options->host, sizeof(options->host), "%s", host);
    snprintf(options->path, sizeof(options->path), "%s", slash ? slash : "/");

    port = 80;
    colon = strchr(host, ':');

    if (colon) {
        *colon++ = '\0';

        if (helix_number_u64(colon, strlen(colon), &port) != HELIX_NUMBER_OK
            || port < 1 || port > 65535)
        {
            load_usage("\"--url\" has a bad port: \"%s\"", url);
        }
    }

    options->address.sin_family = AF_INET;
    options->address.sin_port = htons((uint16_t) port);

    if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1"
                                                          : host,
                  &options->address.sin_addr) != 1
        || (ntohl(options->address.sin_addr.s_addr) >> 24) != 127)
    {
        load_usage("\"--url\" is a loopback address such as 127.0.0.1, not "
                   "\"%s\": this program is for no other machine", host);
    }
}


static void
load_args_check(load_options_t *options)
{
    if (options->url == NULL) {
        load_usage("no --url is given");
    }

    if (options->duration == 0) {
        load_usage("\"--duration\" is zero");
    }

    if (options->interval == 0
        || (options->duration + options->warmup) / options->interval
           > LOAD_SERIES_MAX)
    {
        load_usage("\"--interval\" makes more than %d slots",
                   LOAD_SERIES_MAX);
    }

    if (options->timeout < LOAD_MSEC) {
        load_usage("\"--timeout\" is less than 1ms");
    }

    if (options->closed > options->max_connections) {
        load_usage("\"--closed\" is more than \"--max-connections\"");
    }
}
