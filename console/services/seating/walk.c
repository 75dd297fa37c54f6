/* The walk of the annealing: swaps of two seats, an empty seat included, accepted by Metropolis' rule.
 *
 * The innermost loop of the auto-seat. It is compiled to WebAssembly (tools/build_walk.py), which runs at the
 * speed of machine code wherever there is a wheel of wasmtime, needs no compiler there, and gives the same
 * answer on every machine. annealing.py lays the problem out in this memory and calls `walk`.
 */

typedef int i32;
typedef unsigned u32;
typedef unsigned long long u64;

#define EXPORT(name) __attribute__((export_name(#name)))

/* A wish seen from one of the two: the other one, what the pair weighs, and who of them wishes. */
typedef struct { i32 other, weight, wished, wishing; } Tie;
typedef struct { i32 avoided, satisfied, weight, uneven, moves; } Totals;

/* Of 2^32 steps, those that move a group: dearer than a single swap, but friends seldom part one by one. */
#define GROUPS (1u << 30)


/* Filled by annealing.py, in this order; `x_from[i]` to `x_from[i + 1]` are the entries of i. */
typedef struct {
    i32 movable_count, seat_count, people, most_moves;
    const Tie *ties;        const i32 *ties_from;
    const i32 *avoided;     const i32 *avoided_from;
    const i32 *targets;     const i32 *targets_from;  /* whom a person tries to join, -1: anybody */
    const i32 *unevenness;  const i32 *unevenness_from; /* by crew and size */
    const i32 *movable, *home;
    const i32 *seats_from;  /* by crew: its seats that nobody is pinned to stand together */
    const i32 *seat_crew;   /* below nought: a place outside, a crew of its own each */
    const double *logs;     /* of 4096 even chances */
    i32 *crew, *met, *seat, *occupant, *sizes, *best;
    Totals *now, *top;      /* as it is, and as it was when `best` was kept */
    /* Scratch: by how much `met` of those who wish for a swapped one changes. */
    i32 *change, *touched;
} Walk;

extern unsigned char __heap_base;
static u32 used;
static u64 state;

/* Room for so many bytes, never given back. */
EXPORT(room) void *room(u32 bytes) {
    if (!used) used = (u32)&__heap_base;
    u32 at = (used + 15) & ~15u;
    used = at + bytes;
    u32 pages = (used + 65535) >> 16, have = (u32)__builtin_wasm_memory_size(0);
    if (pages > have && __builtin_wasm_memory_grow(0, pages - have) == (unsigned long)-1) __builtin_trap();
    return (void *)at;
}

EXPORT(seed) void seed(u64 number) { state = number; }

/* SplitMix64 (Steele, Lea, Flood 2014). */
static u64 chance(void) {
    u64 z = state += 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

static u32 below(u32 random, u32 count) { return (u32)(((u64)random * count) >> 32); }

/* What concerns one of the swapped: their pairs, and who of the others wins or loses them. */
static i32 side(const Walk *w, i32 person, i32 other, i32 here, i32 there, Totals *by, i32 touched) {
    i32 mine = 0;
    for (const Tie *tie = w->ties + w->ties_from[person], *end = w->ties + w->ties_from[person + 1]; tie < end; tie++) {
        i32 where = w->crew[tie->other], gain;
        if (where == here) gain = -1;
        else if (where == there) gain = 1;
        else continue;
        /* The two of a swap are apart before and after. */
        if (tie->other == other) continue;
        by->weight += gain * tie->weight;
        mine += gain > 0 && tie->wished;
        if (tie->wishing) {
            w->change[tie->other] += gain;
            w->touched[touched++] = tie->other;
        }
    }
    for (const i32 *foe = w->avoided + w->avoided_from[person], *end = w->avoided + w->avoided_from[person + 1]; foe < end; foe++) {
        i32 where = w->crew[*foe];
        if (*foe != other) by->avoided += (where == there) - (where == here);
    }
    by->satisfied += (mine > 0) - (w->met[person] > 0);
    w->touched[w->people * 2] = mine;
    return touched;
}

typedef struct { i32 person, other, here, there, seat, mine, theirs, touched; Totals by; } Swap;

/* What it would change if a person took a seat and who sits there theirs. */
static void weigh(const Walk *w, Swap *s) {
    Totals by = {0, 0, 0, 0, 0};
    i32 here = s->here, there = s->there;
    s->theirs = 0;
    i32 touched = side(w, s->person, s->other, here, there, &by, 0);
    s->mine = w->touched[w->people * 2];
    by.moves = (here == w->home[s->person]) - (there == w->home[s->person]);
    if (s->other >= 0) {
        touched = side(w, s->other, s->person, there, here, &by, touched);
        s->theirs = w->touched[w->people * 2];
        by.moves += (there == w->home[s->other]) - (here == w->home[s->other]);
    } else {
        const i32 *a = w->unevenness + w->unevenness_from[there] + w->sizes[there];
        by.uneven = a[1] - a[0];
        if (here >= 0) {
            a = w->unevenness + w->unevenness_from[here] + w->sizes[here];
            by.uneven += a[-1] - a[0];
        }
    }
    /* Who wishes for both loses one and gets the other: their two changes make nought. */
    for (i32 k = 0; k < touched; k++) {
        i32 who = w->touched[k], met = w->met[who];
        by.satisfied += (met + w->change[who] > 0) - (met > 0);
    }
    s->touched = touched;
    s->by = by;
}

static void forget(const Walk *w, const Swap *s) {
    for (i32 k = 0; k < s->touched; k++) w->change[w->touched[k]] = 0;
}

static void make(const Walk *w, const Swap *s) {
    for (i32 k = 0; k < s->touched; k++) {
        i32 who = w->touched[k];
        w->met[who] += w->change[who];
        w->change[who] = 0;
    }
    i32 seat = w->seat[s->person];
    w->occupant[s->seat] = s->person;
    w->occupant[seat] = s->other;
    w->seat[s->person] = s->seat;
    w->crew[s->person] = s->there;
    w->met[s->person] = s->mine;
    if (s->other >= 0) {
        w->seat[s->other] = seat;
        w->crew[s->other] = s->here;
        w->met[s->other] = s->theirs;
    } else {
        if (s->here >= 0) w->sizes[s->here]--;
        w->sizes[s->there]++;
    }
    w->now->avoided += s->by.avoided;
    w->now->satisfied += s->by.satisfied;
    w->now->weight += s->by.weight;
    w->now->uneven += s->by.uneven;
    w->now->moves += s->by.moves;
}

static i32 better(const Totals *a, const Totals *b) {
    if (a->avoided != b->avoided) return a->avoided < b->avoided;
    if (a->satisfied != b->satisfied) return a->satisfied > b->satisfied;
    if (a->weight != b->weight) return a->weight > b->weight;
    if (a->uneven != b->uneven) return a->uneven < b->uneven;
    return a->moves < b->moves;
}

typedef struct { double temperature, avoided, satisfied, uneven, moves; } Aims;

/* Metropolis' rule: what is worse is taken at times, the worse and the colder the less often. */
static i32 taken(const Walk *w, const Totals *by, const Aims *aims) {
    double change = by->weight + aims->satisfied * by->satisfied - aims->avoided * by->avoided
                  - aims->uneven * by->uneven - aims->moves * by->moves;
    if (change < 0 && change < aims->temperature * w->logs[chance() >> 52]) return 0;
    return by->moves <= 0 || w->now->moves + by->moves <= w->most_moves;
}

static void keep(const Walk *w) {
    if (!better(w->now, w->top)) return;
    *w->top = *w->now;
    for (i32 person = 0; person < w->people; person++) w->best[person] = w->crew[person];
}

static void one(const Walk *w, Swap *s, const Aims *aims) {
    weigh(w, s);
    if (!taken(w, &s->by, aims)) {
        forget(w, s);
        return;
    }
    make(w, s);
    keep(w);
}

#define MOST_GROUP 6

static i32 holds(const i32 *group, i32 count, i32 who) {
    for (i32 k = 0; k < count; k++) if (group[k] == who) return 1;
    return 0;
}

/* Friends of the first in the group who sit in one crew with them, then theirs, up to `most` people. */
static i32 grow(const Walk *w, i32 *group, i32 crew, i32 most, i32 without) {
    i32 count = 1;
    for (i32 k = 0; k < count && count < most; k++) {
        i32 from = w->ties_from[group[k]], ties = w->ties_from[group[k] + 1] - from;
        if (!ties) continue;
        i32 turn = below((u32)chance(), ties);
        for (i32 number = 0; number < ties && count < most; number++) {
            i32 who = w->ties[from + (number + turn) % ties].other;
            if (w->crew[who] == crew && w->seat[who] >= 0 && who != without && !holds(group, count, who)) group[count++] = who;
        }
    }
    return count;
}

static void swap(const Walk *w, i32 person, i32 seat) {
    Swap s = {.person = person, .here = w->crew[person], .there = w->seat_crew[seat], .seat = seat, .other = w->occupant[seat]};
    weigh(w, &s);
    make(w, &s);
}

/* A group of friends changes places with as many from another crew, friends too where there are. */
static void several(const Walk *w, const Swap *s, i32 friend, const Aims *aims) {
    i32 mine[MOST_GROUP] = {s->person}, theirs[MOST_GROUP] = {s->other}, home[MOST_GROUP], away[MOST_GROUP];
    i32 most = 2 + below((u32)chance(), MOST_GROUP - 1);
    i32 count = grow(w, mine, s->here, most, -1);
    i32 others = s->other >= 0 && s->other != friend ? grow(w, theirs, s->there, count, friend) : 0;
    i32 first = w->seats_from[s->there], seats = w->seats_from[s->there + 1] - first;
    Totals before = *w->now;
    for (i32 k = 0; k < others; k++) away[k] = w->seat[theirs[k]];
    /* The others are not enough: anybody, or an empty seat. */
    for (i32 tries = 0; others < count; tries++) {
        if (tries == 4 * MOST_GROUP) return;
        i32 seat = first + below((u32)chance(), seats);
        if (w->occupant[seat] != friend && !holds(away, others, seat)) away[others++] = seat;
    }
    for (i32 k = 0; k < count; k++) {
        home[k] = w->seat[mine[k]];
        swap(w, mine[k], away[k]);
    }
    Totals by = {w->now->avoided - before.avoided, w->now->satisfied - before.satisfied, w->now->weight - before.weight,
                 w->now->uneven - before.uneven, w->now->moves - before.moves};
    Totals after = *w->now;
    *w->now = before;
    i32 yes = taken(w, &by, aims);
    *w->now = after;
    if (yes) keep(w);
    else for (i32 k = count - 1; k >= 0; k--) swap(w, mine[k], home[k]);
}

/* So many steps at one temperature. A one-sided wish met weighs 1, the other aims what the caller says. */
EXPORT(walk) void walk(const Walk *w, i32 steps, double temperature, double avoided, double satisfied, double uneven, double moves) {
    Aims aims = {temperature, avoided, satisfied, uneven, moves};
    for (i32 step = 0; step < steps; step++) {
        u64 random = chance();
        Swap s;
        s.person = w->movable[below((u32)random, w->movable_count)];
        s.here = w->crew[s.person];
        u32 group = (u32)(random >> 32);
        random = chance();
        i32 from = w->targets_from[s.person], friend = w->targets[from + below((u32)random, w->targets_from[s.person + 1] - from)];
        u32 third = (u32)(random >> 32);
        if (friend >= 0) {
            s.there = w->crew[friend];
            if (s.there == s.here || s.there < 0) continue;
            i32 first = w->seats_from[s.there], count = w->seats_from[s.there + 1] - first;
            if (!count) continue;
            s.seat = first + below(third, count);
        } else {
            s.seat = below(third, w->seat_count);
            s.there = w->seat_crew[s.seat];
            if (s.there == s.here) continue;
        }
        s.other = w->occupant[s.seat];
        if (group < GROUPS && s.here >= 0 && s.there >= 0) several(w, &s, friend, &aims);
        else one(w, &s, &aims);
    }
}
