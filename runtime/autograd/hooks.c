#include "autograd/autograd.h"

static void drop(sonde_handle *handle)
{
    if (--handle->refs == 0) sonde_free(handle);
}

/* Takes a handle that is already unlinked out of its list for good. */
static void retire(sonde_handle *handle)
{
    handle->list = NULL;
    if (handle->free_context) handle->free_context(handle->context);
    drop(handle);
}

/* Freeing a context may run anything, this function included: so the dead leave the list first. */
static void unlink_removed(sonde_hooks *list)
{
    sonde_handle *dead = NULL;
    for (sonde_handle **at = &list->first; *at;) {
        sonde_handle *handle = *at;
        if (handle->removed) {
            *at = handle->next;
            handle->next = dead;
            dead = handle;
        } else {
            at = &handle->next;
        }
    }
    while (dead) {
        sonde_handle *handle = dead;
        dead = handle->next;
        retire(handle);
    }
}

sonde_status sonde_hooks_add(sonde_hooks *list, sonde_callback callback, void *context, void (*free_context)(void *),
                             sonde_handle **out)
{
    sonde_handle *handle = sonde_alloc_zeroed(sizeof *handle);
    if (!handle) return SONDE_ENOMEM;
    *handle = (sonde_handle){
        .refs = out ? 2 : 1, .callback = callback, .context = context, .free_context = free_context, .list = list};
    sonde_handle **at = &list->first;
    while (*at) at = &(*at)->next;
    *at = handle;
    list->n++;
    if (out) *out = handle;
    return SONDE_OK;
}

void sonde_hooks_to_front(sonde_handle *handle)
{
    sonde_hooks *list = handle->list;
    sonde_handle **at = &list->first;
    while (*at != handle) at = &(*at)->next;
    *at = handle->next;
    handle->next = list->first;
    list->first = handle;
}

void sonde_handle_remove(sonde_handle *handle)
{
    if (!handle) return;
    if (!handle->removed) {
        handle->removed = true;
        sonde_hooks *list = handle->list;
        if (list) {
            list->n--;
            if (list->walks == 0) unlink_removed(list);
        }
    }
    drop(handle);
}

void sonde_handle_release(sonde_handle *handle)
{
    if (handle) drop(handle);
}

void sonde_hooks_clear(sonde_hooks *list)
{
    while (list->first) {
        sonde_handle *handle = list->first;
        list->first = handle->next;
        handle->removed = true;
        retire(handle);
    }
    list->n = 0;
}

sonde_hook_walk sonde_hooks_walk(sonde_hooks *list)
{
    sonde_hook_walk walk = {.list = list, .at = list->first};
    for (sonde_handle *h = list->first; h; h = h->next) walk.last = h;
    list->walks++;
    return walk;
}

sonde_handle *sonde_hooks_next(sonde_hook_walk *walk)
{
    while (walk->at) {
        sonde_handle *handle = walk->at;
        walk->at = handle == walk->last ? NULL : handle->next;
        if (!handle->removed) return handle;
    }
    return NULL;
}

void sonde_hooks_end(sonde_hook_walk *walk)
{
    if (--walk->list->walks == 0) unlink_removed(walk->list);
}
