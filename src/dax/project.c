#include "dax/dax_int.h"
#include "model/av_cbor.h"

static struct av
follow(const struct dax_path *path, struct av item)
{
	struct av at = item;

	for (size_t i = 0; i < path->count && av_exists(at); i++) {
		struct slice element = path->elements[i];

		if (element.data != NULL)
			at = av_get(at, element);
		else
			at = element.len <= UINT32_MAX ? av_at(at, (uint32_t)element.len) : AV_NONE;
	}
	return at;
}

void
dax_projected_write(const struct dax_paths *paths, struct av item, struct buf *out)
{
	uint64_t found = 0;

	for (size_t i = 0; i < paths->count; i++)
		found += av_exists(follow(&paths->items[i], item));
	cbor_put_map(out, found);
	for (size_t i = 0; i < paths->count; i++) {
		struct av value = follow(&paths->items[i], item);

		if (!av_exists(value))
			continue;
		cbor_put_head(out, CBOR_M_UINT, i);
		av_write_cbor(out, value);
	}
}
