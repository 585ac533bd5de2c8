
/* The small texts of the command line: classes, schedules and modes. */

#include <stdlib.h>
#include <string.h>

#include "load_run.h"


#define LOAD_WORDS     16
#define LOAD_HEAD_MAX  65536

#define LOAD_NAME_CHARS                                                       \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


typedef struct {
    char  *name;
    char  *value;                            /* NULL: a bare word */
} load_word_t;


static uint32_t load_words(load_word_t *words, char *text,
    const char *const *names);
static bool load_word_is(const char *text, const char *const *names);
static void load_class_set(load_class_t *class, load_word_t *word);
static void load_class_cost(load_class_t *class, char *text);
static uint32_t load_fields(char **fields, char *text, char separator);
static void load_class_check(load_class_t *class);
static void load_class_head(load_options_t *options, load_class_t *class);
static void load_class_json(load_class_t *class);
static void load_class_json_inputs(helix_json_writer_t *json, char *value);
static void load_schedule_phases(load_options_t *options, char *text);


static const char *const  load_class_words[] = {
    "weight", "query", "budget", "cost", "method", "path", NULL
};


static const char *const  load_canary_words[] = { "rate", "budget", NULL };


static const char *const  load_abort_words[] = {
    "share", "after", "by", NULL
};


static const char *const  load_retry_words[] = { "tries", NULL };


/* Words between commas.  A comma that no known name follows belongs to the
   value before it: query=kind=hashmix&inputs=1,2,weight=3 has two words. */

static uint32_t
load_words(load_word_t *words, char *text, const char *const *names)
{
    char      *p, *value;
    size_t     len;
    uint32_t   n;

    n = 0;

    for (p = text; p; n++) {

        if (n == LOAD_WORDS) {
            load_usage("too many words: \"%s\"", text);
        }

        words[n].name = p;
        value = strchr(p, '=');

        for (p = strchr(p, ','); p; p = strchr(p + 1, ',')) {
            if (n == 0 && (value == NULL || p < value)) {
                break;
            }

            if (load_word_is(p + 1, names)) {
                break;
            }
        }

        if (p) {
            *p++ = '\0';
        }

        value = strchr(words[n].name, '=');
        words[n].value = value;

        if (value) {
            *value++ = '\0';
            len = strlen(value);

            if (len >= 2 && value[0] == '\'' && value[len - 1] == '\'') {
                value[len - 1] = '\0';
                value++;
            }

            words[n].value = value;
        }
    }

    return n;
}


static bool
load_word_is(const char *text, const char *const *names)
{
    size_t  n;

    for ( /* void */ ; *names; names++) {
        n = strlen(*names);

        if (strncmp(text, *names, n) == 0 && text[n] == '=') {
            return true;
        }
    }

    return false;
}


void
load_class_add(load_options_t *options, char *text)
{
    uint32_t       i, n;
    load_word_t    words[LOAD_WORDS];
    load_class_t  *class;

    if (options->nclasses == LOAD_CLASSES) {
        load_usage("--class is given more than %d times", LOAD_CLASSES);
    }

    n = load_words(words, text, load_class_words);

    if (words[0].value || words[0].name[0] == '\0'
        || strlen(words[0].name) >= LOAD_NAME_LEN
        || words[0].name[strspn(words[0].name, LOAD_NAME_CHARS)])
    {
        load_usage("--class begins with a name of 1 to %d letters, digits, "
                   "\"_\" and \"-\"", LOAD_NAME_LEN - 1);
    }

    for (i = 0; i < options->nclasses; i++) {
        if (strcmp(options->classes[i].name, words[0].name) == 0) {
            load_usage("--class \"%s\" is given twice", words[0].name);
        }
    }

    class = &options->classes[options->nclasses++];
    class->weight = 1;
    snprintf(class->name, LOAD_NAME_LEN, "%s", words[0].name);

    for (i = 1; i < n; i++) {
        load_class_set(class, &words[i]);
    }

    load_class_check(class);
}


static void
load_class_set(load_class_t *class, load_word_t *word)
{
    const char  *value;

    value = word->value ? word->value : "";

    if (strcmp(word->name, "weight") == 0) {
        class->weight = load_number("weight", value, strlen(value), 1e-9,
                                    1e9);

    } else if (strcmp(word->name, "query") == 0) {
        class->query = word->value;

    } else if (strcmp(word->name, "budget") == 0) {
        class->budget = load_time("budget", value, strlen(value))
                        / LOAD_MSEC;

        if (class->budget == 0) {
            load_usage("\"budget\" is whole milliseconds, not \"%s\"",
                       value);
        }

    } else if (strcmp(word->name, "cost") == 0) {
        load_class_cost(class, word->value ? word->value : "");

    } else if (strcmp(word->name, "path") == 0) {
        class->path = value;

        if (value[0] != '/') {
            load_usage("\"path\" begins with \"/\", not \"%s\"", value);
        }

    } else if (strcmp(word->name, "method") == 0) {
        class->post = (strcmp(value, "POST") == 0);

        if (!class->post && strcmp(value, "GET") != 0) {
            load_usage("\"method\" is GET or POST, not \"%s\"", value);
        }

    } else {
        load_usage("unknown word \"%s\" of class \"%s\", known are weight, "
                   "query, budget, cost, method and path", word->name,
                   class->name);
    }
}


static void
load_class_cost(load_class_t *class, char *text)
{
    char      *field[3];
    uint32_t   n;

    n = load_fields(field, text, ':');

    if (n == 1) {
        class->cost = LOAD_COST_FIXED;
        class->a = load_number("cost", text, strlen(text), 1, LOAD_COST_MAX);
        return;
    }

    if (n == 3 && strcmp(field[0], "uniform") == 0) {
        class->cost = LOAD_COST_UNIFORM;
        class->a = load_number("cost", field[1], strlen(field[1]), 1,
                               LOAD_COST_MAX);
        class->b = load_number("cost", field[2], strlen(field[2]), class->a,
                               LOAD_COST_MAX);
        return;
    }

    if (n == 3 && strcmp(field[0], "lognormal") == 0) {
        class->cost = LOAD_COST_LOGNORMAL;
        class->a = load_number("cost", field[1], strlen(field[1]), 0, 36);
        class->b = load_number("cost", field[2], strlen(field[2]), 0, 10);
        return;
    }

    load_usage("\"cost\" is N, uniform:A:B or lognormal:MU:SIGMA");
}


/* Returns more than 3 as 4. */

static uint32_t
load_fields(char **fields, char *text, char separator)
{
    uint32_t  n;

    for (n = 0; text; n++) {
        if (n == 3) {
            return 4;
        }

        fields[n] = text;
        text = strchr(text, separator);

        if (text) {
            *text++ = '\0';
        }
    }

    return n;
}


static void
load_class_check(load_class_t *class)
{
    const char  *p;

    if (class->query == NULL || class->query[0] == '\0') {
        load_usage("class \"%s\" has no query=", class->name);
    }

    if (strlen(class->query) > LOAD_HEAD_MAX / 4) {
        load_usage("the query of class \"%s\" is too long", class->name);
    }

    for (p = class->query; *p; p++) {
        if (*p <= ' ' || *p == 127 || *p == '#') {
            load_usage("the query of class \"%s\" has a character that must "
                       "be written as %%XX", class->name);
        }

        if (class->post && (*p == '%' || *p == '+')) {
            load_usage("the query of class \"%s\" has a \"%c\", with "
                       "method=POST nothing is decoded", class->name, *p);
        }

        if (*p == ',' && p[1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_")]
                         == '=')
        {
            load_usage("unknown word in class \"%s\": \"%s\"", class->name,
                       p + 1);
        }

        if ((p == class->query || p[-1] == '&')
            && (strncmp(p, "id=", 3) == 0
                || (class->cost && (strncmp(p, "compute_cost=", 13) == 0
                                    || strncmp(p, "cost=", 5) == 0))))
        {
            load_usage("the query of class \"%s\" has a field that the "
                       "generator sets: \"%s\"", class->name, p);
        }
    }
}


void
load_class_canary(load_options_t *options, char *text)
{
    uint32_t       i, n;
    load_word_t    words[LOAD_WORDS];
    load_class_t  *class;
    const char    *value;

    n = load_words(words, text, load_canary_words);

    if (words[0].value || words[0].name[0] != '/') {
        load_usage("--canary begins with a path: /light,rate=200");
    }

    /* it is moved to the end by load_class_finish() */

    class = &options->classes[LOAD_CLASSES];
    class->canary = true;
    class->path = words[0].name;
    snprintf(class->name, LOAD_NAME_LEN, "canary");

    options->canary = true;
    options->canary_rate = 50;

    for (i = 1; i < n; i++) {
        value = words[i].value ? words[i].value : "";

        if (strcmp(words[i].name, "rate") == 0) {
            options->canary_rate = load_number("rate", value, strlen(value),
                                               0.01, 1e7);

        } else if (strcmp(words[i].name, "budget") == 0) {
            class->budget = load_time("budget", value, strlen(value))
                            / LOAD_MSEC;

        } else {
            load_usage("unknown word \"%s\" of --canary, known are rate and "
                       "budget", words[i].name);
        }
    }
}


void
load_class_abort(load_options_t *options, char *text)
{
    uint32_t      i, n;
    load_word_t   words[LOAD_WORDS];
    const char   *value;

    n = load_words(words, text, load_abort_words);

    options->abort_share = 1;
    options->abort_after = LOAD_SECOND;

    for (i = 0; i < n; i++) {
        value = words[i].value ? words[i].value : "";

        if (strcmp(words[i].name, "share") == 0) {
            options->abort_share = load_number("share", value, strlen(value),
                                               0, 1);

        } else if (strcmp(words[i].name, "after") == 0) {
            options->abort_after = load_time("after", value, strlen(value));

        } else if (strcmp(words[i].name, "by") == 0) {
            options->abort_rst = (strcmp(value, "rst") == 0);

            if (!options->abort_rst && strcmp(value, "fin") != 0) {
                load_usage("\"by\" of --abort is fin or rst, not \"%s\"",
                           value);
            }

        } else {
            load_usage("unknown word \"%s\" of --abort, known are share, "
                       "after and by", words[i].name);
        }
    }
}


void
load_class_retry(load_options_t *options, char *text)
{
    uint32_t      i, n;
    load_word_t   words[LOAD_WORDS];
    const char   *value;

    n = load_words(words, text, load_retry_words);

    if (strcmp(words[0].name, "obey") == 0) {
        options->retry = LOAD_RETRY_OBEY;

    } else if (strcmp(words[0].name, "at-once") == 0) {
        options->retry = LOAD_RETRY_ONCE;

    } else if (strcmp(words[0].name, "never") == 0) {
        options->retry = LOAD_RETRY_NEVER;

    } else {
        load_usage("--retry is obey, at-once or never, not \"%s\"",
                   words[0].name);
    }

    for (i = 1; i < n; i++) {
        value = words[i].value ? words[i].value : "";

        if (strcmp(words[i].name, "tries") != 0) {
            load_usage("unknown word \"%s\" of --retry, known is tries",
                       words[i].name);
        }

        options->tries = (uint64_t) load_number("tries", value,
                                                strlen(value), 1, 1000);
    }
}


void
load_class_schedule(load_options_t *options, char *text)
{
    char        *field[3];
    size_t       len;
    uint32_t     n;
    const char  *whole;

    /* the report shows it as it was given */

    len = strlen(text) + 1;
    whole = memcpy(load_alloc(1, len), text, len);
    options->schedule = whole;

    if (strncmp(text, "phases:", 7) == 0) {
        load_schedule_phases(options, text + 7);
        return;
    }

    if (strncmp(text, "square:", 7) == 0) {
        n = load_fields(field, text + 7, ':');

        if (n == 3) {
            options->shape = LOAD_PHASED;
            options->nphases = 2;
            options->phases[0].factor = load_number("square", field[0],
                                            strlen(field[0]), 0, 1000);
            options->phases[1].factor = load_number("square", field[1],
                                            strlen(field[1]), 0.001, 1000);
            options->phases[0].time = load_time("square", field[2],
                                                strlen(field[2])) / 2 + 1;
            options->phases[1].time = options->phases[0].time;
            return;
        }

        load_usage("--schedule \"%s\" is not square:LOW:HIGH:PERIOD", whole);
    }

    if (strncmp(text, "onoff:", 6) == 0) {
        n = load_fields(field, text + 6, ':');

        if (n == 2 || n == 3) {
            options->shape = LOAD_ONOFF;
            options->phases[0].time = load_time("onoff", field[0],
                                                strlen(field[0])) + 1;
            options->phases[1].time = load_time("onoff", field[1],
                                                strlen(field[1])) + 1;
            options->low = (n == 2) ? 0
                           : load_number("onoff", field[2], strlen(field[2]),
                                         0, 1);
            return;
        }

        load_usage("--schedule \"%s\" is not onoff:ON:OFF[:LOW]", whole);
    }

    n = load_fields(field, text, ':');

    if (n == 1 && strcmp(field[0], "poisson") == 0) {
        options->shape = LOAD_POISSON;

    } else if (n == 1 && strcmp(field[0], "constant") == 0) {
        options->shape = LOAD_CONSTANT;

    } else if (n == 3 && strcmp(field[0], "ramp") == 0) {
        options->shape = LOAD_RAMP;
        options->nphases = 2;
        options->phases[0].factor = load_number("ramp", field[1],
                                                strlen(field[1]), 0, 1000);
        options->phases[1].factor = load_number("ramp", field[2],
                                                strlen(field[2]), 0, 1000);
    } else {
        load_usage("--schedule \"%s\" is none of poisson, constant, "
                   "ramp:FROM:TO, square:LOW:HIGH:PERIOD, "
                   "phases:FxTIME,..., onoff:ON:OFF[:LOW]", whole);
    }
}


static void
load_schedule_phases(load_options_t *options, char *text)
{
    char  *p, *x;

    options->shape = LOAD_PHASED;
    options->nphases = 0;

    for (p = text; p; options->nphases++) {
        if (options->nphases == LOAD_PHASES) {
            load_usage("--schedule has more than %d phases", LOAD_PHASES);
        }

        text = p;
        p = strchr(p, ',');

        if (p) {
            *p++ = '\0';
        }

        x = strchr(text, 'x');

        if (x == NULL) {
            load_usage("a phase is FACTORxTIME such as 0.7x5s, not \"%s\"",
                       text);
        }

        options->phases[options->nphases].factor =
            load_number("phases", text, (size_t) (x - text), 0, 1000);
        options->phases[options->nphases].time =
            load_time("phases", x + 1, strlen(x + 1)) + 1;
    }
}


/* What needs all options: the bytes of the requests. */

void
load_class_finish(load_options_t *options)
{
    uint32_t       i;
    load_class_t  *class;

    if (options->nclasses == 0) {
        load_usage("no --class is given");
    }

    if (options->canary) {
        options->classes[options->nclasses] = options->classes[LOAD_CLASSES];
    }

    for (i = 0; i < options->nclasses + options->canary; i++) {
        class = &options->classes[i];

        if (class->path == NULL) {
            class->path = options->path;
        }

        if (class->post) {
            load_class_json(class);
        }

        load_class_head(options, class);
    }
}


static void
load_class_head(load_options_t *options, load_class_t *class)
{
    int  n;

    class->head = load_alloc(1, LOAD_HEAD_MAX);

    if (class->canary) {
        n = snprintf(class->head, LOAD_HEAD_MAX,
                     "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", class->path,
                     options->host);

    } else if (class->post) {
        n = snprintf(class->head, LOAD_HEAD_MAX,
                     "POST %s HTTP/1.1\r\nHost: %s\r\n"
                     "Content-Type: application/json\r\n", class->path,
                     options->host);

    } else {
        n = snprintf(class->head, LOAD_HEAD_MAX, "GET %s?%s&", class->path,
                     class->query);
    }

    class->head_len = (size_t) n;

    if (n >= LOAD_HEAD_MAX) {
        load_usage("the request of class \"%s\" is too long", class->name);
    }
}


/* kind=hashmix&inputs=1,2 becomes {"kind":"hashmix","inputs":[1,2],"id": */

static void
load_class_json(load_class_t *class)
{
    char                 *p, *name, *value;
    double                number;
    uint64_t              integer;
    helix_json_writer_t   json;

    p = load_alloc(1, LOAD_HEAD_MAX);
    helix_json_writer_init(&json, p, LOAD_HEAD_MAX - 1);
    helix_json_object(&json);

    for (name = class->query; name; name = p) {
        p = strchr(name, '&');

        if (p) {
            *p++ = '\0';
        }

        value = strchr(name, '=');

        if (value == NULL || value == name || strpbrk(name, "\"\\")) {
            load_usage("\"%s\" in the query of class \"%s\" is no name=value",
                       name, class->name);
        }

        *value++ = '\0';

        helix_json_key(&json, name);

        if (strcmp(name, "inputs") == 0) {
            load_class_json_inputs(&json, value);

        } else if (helix_number_u64(value, strlen(value), &integer)
                   == HELIX_NUMBER_OK)
        {
            helix_json_u64(&json, integer);

        } else if (helix_number_double(value, strlen(value), &number)
                   == HELIX_NUMBER_OK)
        {
            helix_json_double(&json, number);

        } else {
            helix_json_cstring(&json, value);
        }
    }

    helix_json_key(&json, "id");
    *json.pos = '\0';

    if (json.overflow) {
        load_usage("the query of class \"%s\" is too long", class->name);
    }

    class->query = json.start;
}


static void
load_class_json_inputs(helix_json_writer_t *json, char *value)
{
    char      *p;
    uint64_t   number;

    helix_json_array(json);

    for (p = value; p; value = p) {
        p = strchr(value, ',');

        if (p) {
            *p++ = '\0';
        }

        if (helix_number_u64(value, strlen(value), &number)
            != HELIX_NUMBER_OK)
        {
            load_usage("\"%s\" of inputs is not an unsigned integer", value);
        }

        helix_json_u64(json, number);
    }

    helix_json_array_end(json);
}
