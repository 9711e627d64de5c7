//! COPY in the binary format: rows as Postgres takes them in with the least work.
//!
//! sqlx leaves Nagle's algorithm on: what ends a COPY is not sent before the last rows are
//! acknowledged. The server's system does that at once where it got much, else 40 ms later. So
//! the last piece must be a large one, and few rows must not be copied at all.

use sqlx::{
    Encode, PgConnection, Postgres, encode::IsNull, error::BoxDynError, postgres::PgArgumentBuffer,
};

/// The signature, no flags, no extension.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Bytes that are sent at once, and at least so many at the end: more than two packets of any
/// network. While the server works on them, the next are made.
const CHUNK: usize = 160 * 1024;

/// Runs `statement`, a `COPY … FROM STDIN (FORMAT binary)` into `columns` columns. `write`
/// writes one row, value by value in the order of the columns, in their own types.
pub(super) async fn copy<T>(
    connection: &mut PgConnection,
    statement: &str,
    columns: i16,
    rows: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Row<'_>, T) -> Result<(), BoxDynError>,
) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut buffer = PgArgumentBuffer::default();
    let mut rest = PgArgumentBuffer::default();
    buffer.extend_from_slice(HEADER);
    for row in rows {
        buffer.extend_from_slice(&columns.to_be_bytes());
        // dropped on an error, `copy` tells the server to forget it
        write(&mut Row(&mut buffer), row).map_err(sqlx::Error::Encode)?;
        if buffer.len() >= 2 * CHUNK {
            copy.send(&buffer[..CHUNK]).await?;
            rest.extend_from_slice(&buffer[CHUNK..]);
            std::mem::swap(&mut buffer, &mut rest);
            rest.clear();
        }
    }
    buffer.extend_from_slice(&TRAILER);
    copy.send(buffer.as_slice()).await?;
    copy.finish().await
}

/// A row that is being written.
pub(super) struct Row<'a>(&'a mut PgArgumentBuffer);

impl Row<'_> {
    /// The next value: its length, -1 for NULL, and its bytes.
    pub(super) fn put<'v>(
        &mut self,
        value: impl Encode<'v, Postgres>,
    ) -> Result<&mut Self, BoxDynError> {
        let start = self.0.len() + 4;
        self.0.extend_from_slice(&[0; 4]);
        let length = match value.encode(self.0)? {
            IsNull::No => i32::try_from(self.0.len() - start)?,
            IsNull::Yes => -1,
        };
        self.0[start - 4..start].copy_from_slice(&length.to_be_bytes());
        Ok(self)
    }
}
