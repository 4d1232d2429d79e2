/* Lists of callbacks, for whoever offers a registration (tensors, modules, optimisers). Included by autograd.h.
 *
 * A callback may add to and remove from the list it is called from: one added is first called in the next walk, one
 * removed is never called again, and its context lives until the walk that is inside it has ended.
 * The owner of the list keeps it alive during a walk and clears it when it dies; handles outlive both.
 */
#ifndef SONDE_AUTOGRAD_HOOKS_H
#define SONDE_AUTOGRAD_HOOKS_H

typedef void (*sonde_callback)(void); /* whoever calls it casts it back to its real type */

struct sonde_handle {
    int refs;                    /* the registrar's and the list's */
    bool removed;
    sonde_callback callback;
    void *context;
    void (*free_context)(void *);
    struct sonde_hooks *list;    /* NULL once it is out of the list */
    sonde_handle *next;
};

typedef struct sonde_hooks {     /* all zero: empty */
    sonde_handle *first;
    int n;                       /* in force */
    int walks;                   /* under way; what is removed meanwhile is unlinked when the last one ends */
} sonde_hooks;

typedef struct sonde_hook_walk {
    sonde_hooks *list;
    sonde_handle *at, *last;
} sonde_hook_walk;

/* Appends. On failure the context stays the caller's. out NULL: the callback stays until the list is cleared. */
sonde_status sonde_hooks_add(sonde_hooks *list, sonde_callback callback, void *context, void (*free_context)(void *),
                             sonde_handle **out);
void sonde_hooks_to_front(sonde_handle *handle); /* of its list, just after it was added */
void sonde_hooks_clear(sonde_hooks *list);

/* for (sonde_handle *h; (h = sonde_hooks_next(&walk));) ...; sonde_hooks_end also after a break. */
sonde_hook_walk sonde_hooks_walk(sonde_hooks *list);
sonde_handle *sonde_hooks_next(sonde_hook_walk *walk);
void sonde_hooks_end(sonde_hook_walk *walk);

#endif
