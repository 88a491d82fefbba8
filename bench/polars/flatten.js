// What one would write with Polars, as npm has it: reads the saved pages of a folder, explodes the
// lists, and writes a Parquet file a table into another, with the columns of our tables.
const fs = require('fs');
const path = require('path');
const pl = require('nodejs-polars');

const [pages, out] = process.argv.slice(2);
const col = pl.col;
const int = (e) => e.cast(pl.Int32);
const time = (e) => e.cast(pl.Datetime('us'));
const uri = (name, as) => col(name).str.split('?').lst.first().alias(as);

const files = fs.readdirSync(pages).filter((f) => f.endsWith('.json')).sort();
const images = pl.concat(files.map((f) => pl.readJSON(path.join(pages, f), { format: 'json' })));

function write(table, frame) {
  fs.mkdirSync(path.join(out, table), { recursive: true });
  const exported = pl.lit('01000000-0000-0000-0000-000000000000').alias('export_id');
  frame.select(exported, ...frame.columns.map((c) => col(c))).writeParquet(path.join(out, table, 'data.parquet'), { compression: 'zstd' });
}

// items are the rows of a list, with their place in it and a column for each field.
function items(list, index, fields) {
  const rows = images.select(col('id').alias('image_id'), col(list)).filter(col(list).lst.lengths().gt(0)).explode(list);
  return rows.select(
    col('image_id'),
    int(col('image_id').cumCount().over('image_id').minus(1)).alias(index),
    ...fields.map(([as, field, then]) => (then || ((e) => e))(field(col(list))).alias(as)),
  );
}

const field = (name) => (e) => e.struct.field(name);
const side = (name) => (e) => e.struct.field('boundingBox').struct.field(name);

write('images', images.select(
  col('id').alias('image_id'), int(col('id').cumCount().minus(1)).alias('image_index'), time(col('created')).alias('created'),
  int(col('width')).alias('width'), int(col('height')).alias('height'), uri('imageUri', 'image_uri'), uri('thumbnailUri', 'thumbnail_uri'),
));
write('predictions', items('predictions', 'prediction_index', [
  ['tag_id', field('tagId')], ['tag_name', field('tagName')], ['probability', field('probability')],
  ['box_left', side('left')], ['box_top', side('top')], ['box_width', side('width')], ['box_height', side('height')],
]));
write('tags', items('tags', 'tag_index', [['tag_id', field('tagId')], ['tag_name', field('tagName')], ['created', field('created'), time]]));
write('regions', items('regions', 'region_index', [
  ['region_id', field('regionId')], ['tag_id', field('tagId')], ['tag_name', field('tagName')], ['created', field('created'), time],
  ['box_left', field('left')], ['box_top', field('top')], ['box_width', field('width')], ['box_height', field('height')],
]));
