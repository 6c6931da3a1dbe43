//! Switch and peers composed into one pure node
